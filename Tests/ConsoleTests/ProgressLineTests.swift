import Console
import Testing

@Suite("Progress lines")
struct ProgressLineTests {
  private func line(_ columns: Int?) -> String {
    ProgressLine.line(
      done: 12_800, total: 50_000, rate: 1010.25, prefix: "epoch 12/100  ",
      notes: ["loss 1.2345", "Acc@1 93.67 %", "rate 0.0123"], columns: columns)
  }

  @Test("a line never reaches the terminal's last column", arguments: 1...200)
  func fits(columns: Int) { #expect(line(columns).count < columns) }

  @Test("what matters stays longest")
  func order() {
    #expect(line(nil) == line(300).drop { "█░ ".contains($0) })
    #expect(line(300).hasPrefix("██████░"))
    #expect(line(80) == "███░░░░░░░░░░  epoch 12/100  12800/50000  loss 1.2345  Acc@1 93.67 %  37 s left")
    #expect(line(40) == "epoch 12/100  12800/50000  37 s left")
    #expect(line(12) == "12800/50000")
  }

  @Test("totals of nothing and rates of nothing are no traps")
  func degenerate() {
    for columns in [nil, 80] {
      _ = ProgressLine.line(done: 0, total: 0, rate: 0, prefix: "", notes: [], columns: columns)
      _ = ProgressLine.line(done: 5, total: 3, rate: .infinity, prefix: "", notes: ["x"], columns: columns)
    }
    #expect(Output.time(.infinity) == "–")
    #expect(Output.grouped(.min) == "-9,223,372,036,854,775,808")
  }
}
