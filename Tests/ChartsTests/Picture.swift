import Charts
import Foundation
import Testing

#if canImport(FoundationXML)
  import FoundationXML
#endif

/// A figure's elements as an XML reader finds them.
final class Picture: NSObject, XMLParserDelegate {
  struct Element {
    var name: String
    var attributes: [String: String]
    var text = ""

    func number(_ name: String) -> Double { attributes[name].flatMap(Double.init) ?? .nan }
  }

  private(set) var elements: [Element] = []
  private var open: [Int] = []

  /// Reads a figure; one that is not well-formed is an error.
  init(_ figure: Figure) throws {
    super.init()
    let parser = XMLParser(data: Data(figure.svg.utf8))
    parser.delegate = self
    try #require(parser.parse(), "\(String(describing: parser.parserError))")
  }

  /// What is written, in this order.
  var texts: [String] { elements.filter { $0.name == "text" }.map(\.text) }

  func text(_ text: String) throws -> Element { try #require(elements.first { $0.name == "text" && $0.text == text }) }

  /// Lines of series, which are wider than those of axes.
  var lines: [Element] { elements.filter { $0.attributes["stroke-width"] == "2" } }

  /// One element for all markers of a series.
  var markers: [Element] { elements.filter { $0.name == "path" && $0.attributes["stroke"] == "white" } }

  func parser(
    _ parser: XMLParser, didStartElement name: String, namespaceURI: String?, qualifiedName: String?,
    attributes: [String: String]
  ) {
    open.append(elements.count)
    elements.append(Element(name: name, attributes: attributes))
  }

  func parser(_ parser: XMLParser, didEndElement name: String, namespaceURI: String?, qualifiedName: String?) {
    open.removeLast()
  }

  func parser(_ parser: XMLParser, foundCharacters text: String) {
    if let last = open.last { elements[last].text += text }
  }
}
