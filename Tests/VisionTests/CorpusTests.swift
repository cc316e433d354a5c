import CZlib
import Foundation
import Testing
import Vision

/// A folder that `Generators/make_corpus.py` made, where the environment names one.
private let corpus = ProcessInfo.processInfo.environment["COVPOOL_PICTURES"]

@Suite struct CorpusTests {
  private struct Row: Decodable {
    var file: String
    var width, height: Int?
    var crc: String?
    var refused: String?
  }

  @Test func `What Pillow refuses is refused, and what it reads has its pixels`() throws {
    try compare(pictures.appending(path: "corpus"), atLeast: 150)
  }

  @Test(.enabled(if: corpus != nil, "COVPOOL_PICTURES names no folder of make_corpus.py"))
  func `The same is true of all that the generator makes`() throws {
    try compare(URL(fileURLWithPath: try #require(corpus)), atLeast: 300)
  }

  private func compare(_ folder: URL, atLeast least: Int) throws {
    let rows = try JSONDecoder().decode([Row].self, from: Data(contentsOf: folder.appending(path: "corpus.json")))
    var disagreements: [String] = []
    for row in rows {
      do {
        let image = try Image(contentsOf: folder.appending(path: row.file).path)
        let crc = String(format: "%08x", CZlib.crc32(0, image.pixels, UInt32(image.pixels.count)))
        if let refused = row.refused {
          disagreements.append("\(row.file): read, Pillow refuses: \(refused)")
        } else if crc != row.crc || image.width != row.width || image.height != row.height {
          disagreements.append("\(row.file): other pixels")
        }
      } catch {
        if row.refused == nil { disagreements.append("refused, Pillow reads: \(error)") }
      }
    }
    #expect(disagreements.isEmpty, "\(disagreements.joined(separator: "\n"))")
    #expect(rows.count >= least)
  }
}
