import Foundation
import Testing

/// What the pages of the documentation show is compiled: every line of Swift on a page stands, in this order, in this target.
@Suite struct SnippetTests {
  private static let repository = URL(fileURLWithPath: #filePath).appending(path: "../../..").standardizedFileURL

  /// All pages of all catalogues.
  private static let pages: [String] = ["Sources", "Documentation"].flatMap { folder in
    let files = FileManager.default.enumerator(atPath: repository.appending(path: folder).path)
    return (files?.compactMap { $0 as? String } ?? []).filter { $0.contains(".docc/") && $0.hasSuffix(".md") }.map {
      "\(folder)/\($0)"
    }
  }.sorted()

  @Test func `There are pages`() { #expect(Self.pages.count >= 12) }

  @Test(arguments: pages) func `The Swift on a page compiles`(_ page: String) throws {
    let sources = try FileManager.default.contentsOfDirectory(
      at: Self.repository.appending(path: "Tests/DocumentationTests"), includingPropertiesForKeys: nil)
    let compiled = try sources.map { lines(try String(contentsOf: $0, encoding: .utf8)) }
    let text = try String(contentsOf: Self.repository.appending(path: page), encoding: .utf8)
    for block in text.split(separator: "```swift\n").dropFirst() {
      let block = lines(String(block.prefix(upTo: block.range(of: "```")?.lowerBound ?? block.endIndex)))
      #expect(
        compiled.contains { $0.contains(block) },
        "not in Tests/DocumentationTests:\n\(block.joined(separator: "\n"))")
    }
  }

  /// Without indentation, empty lines, and the spaces that align comments.
  private func lines(_ text: String) -> [String] {
    text.split(separator: "\n").map { $0.split(separator: " ").joined(separator: " ") }.filter { !$0.isEmpty }
  }
}
