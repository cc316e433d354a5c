import Foundation

/// Elements of an SVG picture.
struct Drawing {
  private(set) var elements: [String] = []

  enum Anchor: String {
    case start, middle, end
  }

  /// Adds an element, without the attributes that are empty; whatever its attributes and text hold is escaped.
  mutating func add(_ name: String, _ attributes: KeyValuePairs<String, String>, text: String? = nil) {
    let attributes = attributes.filter { !$0.value.isEmpty }
    let start = "<" + name + attributes.map { " \($0.key)=\"\(escaped($0.value))\"" }.joined()
    elements.append(text.map { "\(start)>\(escaped($0))</\(name)>" } ?? start + "/>")
  }

  /// Adds text that is centred vertically.
  mutating func write(
    _ text: String, at point: CGPoint, anchor: Anchor = .start, size: Double = 12, isBold: Bool = false,
    isUpwards: Bool = false
  ) {
    if text.isEmpty { return }
    // A third of the size is from the middle of a digit to its foot; not all readers know other baselines.
    let turned = isUpwards ? "rotate(-90 \(number(point.x)) \(number(point.y)))" : ""
    add(
      "text",
      [
        "x": number(point.x), "y": number(point.y + size * 0.35), "text-anchor": anchor.rawValue,
        "font-size": size == 12 ? "" : number(size), "font-weight": isBold ? "bold" : "", "transform": turned,
        "fill": "#333333",
      ], text: text)
  }

  mutating func stroke(_ path: String, color: String, width: Double = 1, dash: String = "") {
    add(
      "path",
      [
        "d": path, "fill": "none", "stroke": color, "stroke-width": number(width), "stroke-dasharray": dash,
        "stroke-linejoin": "round",
      ])
  }

  /// The picture as a document, on white whatever its reader's background is.
  func document(width: Double, height: Double) -> String {
    let (width, height) = (number(width), number(height))
    return """
      <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" viewBox="0 0 \(width) \(height)" \
      font-family="sans-serif" font-size="12">
      <rect width="100%" height="100%" fill="white"/>
      \(elements.joined(separator: "\n"))
      </svg>

      """
  }
}

/// A coordinate, to a tenth of a pixel.
func number(_ value: Double) -> String {
  let tenths = Int((value * 10).rounded())
  return tenths % 10 == 0 ? "\(tenths / 10)" : String(format: "%.1f", Double(tenths) / 10)
}

/// A path through points.
func path(_ points: [CGPoint]) -> String {
  points.isEmpty ? "" : "M" + points.map { "\(number($0.x)),\(number($0.y))" }.joined(separator: "L")
}

/// Text as XML has it; characters that it cannot hold are replaced.
package func escaped(_ text: String) -> String {
  String(
    text.unicodeScalars.map { scalar in
      switch scalar {
      case "&": "&amp;"
      case "<": "&lt;"
      case ">": "&gt;"
      case "\"": "&quot;"
      case "\t", "\n", "\r": " "
      case "\u{0}"..<" ", "\u{FFFE}", "\u{FFFF}": "\u{FFFD}"
      default: String(scalar)
      }
    }.joined())
}

/// About how wide text is in the wider ones of the usual fonts.
func textWidth(_ text: String, size: Double = 12) -> Double {
  size
    * text.map { character in
      switch character {
      case "i", "j", "l", "I", ".", ",", ":", ";", "'", "|", " ", "t", "f", "r", "(", ")", "-", "/": 0.38
      case "⁻", "⁰"..."⁹", "¹", "²", "³": 0.42
      case "m", "w", "M", "W", "%", "@", "−", "×", "+", "=": 0.9
      case _ where character.isUppercase: 0.7
      default: 0.62
      }
    }.reduce(0, +)
}
