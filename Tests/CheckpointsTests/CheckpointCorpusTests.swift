import Checkpoints
import Foundation
import Testing

/// A folder that `Generators/make_corpus.py` made, where the environment names one.
private let corpus = ProcessInfo.processInfo.environment["COVPOOL_CHECKPOINTS"]

@Suite("A corpus of checkpoints")
struct CheckpointCorpusTests {
  private struct Row: Decodable {
    var file: String
    var sums: [String: Double]?
    var refused: String?
  }

  /// Files on which this package and the reference readers differ, and why that is meant.
  private static let differences: [(prefix: String, reason: String)] = [
    ("sparse_weight", "a weight that is sparse is named and refused"),
    ("float8_weight", "a weight of 8 bits is named and refused"),
    ("beside_", "what lies beside the weights is inert here, whatever class it is of"),
    ("in_", "the same among the weights, where no network needs it"),
    ("protocol_", "pickles of protocols 4 and 5 are read here"), ("float8_weight_legacy", "the same"),
    ("damaged_", "a check sum or a length that the reference readers do not look at"),
    ("trailing_signature", "an end of a directory behind the end of the file's own"),
  ]

  @Test(
    "weights are read where the reference readers read them, with the same numbers",
    .enabled(if: corpus != nil, "COVPOOL_CHECKPOINTS names no folder of make_corpus.py"))
  func agreement() throws {
    let folder = URL(fileURLWithPath: try #require(corpus))
    let rows = try JSONDecoder().decode([Row].self, from: Data(contentsOf: folder.appending(path: "corpus.json")))
    var (worse, better) = ([String](), [String]())
    for row in rows {
      do {
        let checkpoint = try Checkpoint(contentsOf: folder.appending(path: row.file).path)
        try checkpoint.verifyChecksums()
        var sums: [String: Double] = [:]
        for name in (row.sums ?? [:]).keys {
          sums[name] = try checkpoint.tensors[name]?.tensor(as: Double.self).scalars.reduce(0, +)
        }
        if row.refused != nil { better.append(row.file) }
        for (name, sum) in row.sums ?? [:] where abs((sums[name] ?? .infinity) - sum) > 1e-9 * max(1, abs(sum)) {
          let found = sums[name].map { "\($0)" } ?? checkpoint.unread[name] ?? "nothing"
          worse.append("\(row.file): \(name): expected \(sum), found \(found)")
        }
      } catch {
        // An empty dictionary has no weights for either.
        if let sums = row.sums, !sums.isEmpty { worse.append("\(error)") }
      }
    }
    let meant = { (text: String) in Self.differences.contains { text.contains($0.prefix) } }
    print("\(rows.count) checkpoints; read here alone: \(better.joined(separator: ", "))")
    print("refused here alone:\n\(worse.joined(separator: "\n"))")
    #expect(rows.count > 200 && worse.allSatisfy(meant) && better.allSatisfy(meant))
  }
}
