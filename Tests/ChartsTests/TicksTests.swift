import Charts
import Testing

@Suite struct TicksTests {
  private func labels(_ ticks: [Tick]) -> [String] { ticks.map(\.label) }

  @Test func `Linear ticks are round numbers with the digits that tell them apart`() {
    let ticks = linearTicks(-0.2...1.1, atMost: 8)
    #expect(ticks.map(\.value) == [-0.2, 0, 0.2, 0.4, 0.6, 0.8, 1])
    #expect(labels(ticks) == ["−0.2", "0.0", "0.2", "0.4", "0.6", "0.8", "1.0"])
    #expect(labels(linearTicks(33...88, atMost: 8)) == ["40", "50", "60", "70", "80"])
    #expect(labels(linearTicks(33...88, atMost: 4)) == ["40", "60", "80"])
    #expect(labels(linearTicks(0.07...0.13, atMost: 4)) == ["0.08", "0.10", "0.12"])
    #expect(labels(linearTicks(-3000...12000, atMost: 5)) == ["0", "5000", "10000"])
  }

  @Test func `Very large and very small linear ticks share a power of ten`() {
    #expect(labels(linearTicks(-1.2e7...2.1e7, atMost: 5)) == ["−1×10⁷", "0", "1×10⁷", "2×10⁷"])
    #expect(labels(linearTicks(0...1e-4, atMost: 4)) == ["0", "0.5×10⁻⁴", "1.0×10⁻⁴"])
    #expect(labels(linearTicks(1e150...3e150, atMost: 3)) == ["1×10¹⁵⁰", "2×10¹⁵⁰", "3×10¹⁵⁰"])
  }

  @Test func `There are no ticks between whole numbers`() {
    #expect(labels(linearTicks(0.96...2.04, atMost: 8, isWhole: true)) == ["1", "2"])
    #expect(labels(linearTicks(0.5...1.5, atMost: 8, isWhole: true)) == ["1"])
    #expect(labels(linearTicks(0.56...12.44, atMost: 8, isWhole: true)) == ["2", "4", "6", "8", "10", "12"])
  }

  @Test(arguments: 2...9)
  func `There are never more linear ticks than asked for, and enough`(_ count: Int) {
    for high in stride(from: 0.013, to: 13, by: 0.0171) {
      let ticks = linearTicks(-0.01...high, atMost: count)
      #expect(ticks.count <= count && ticks.count >= count * 2 / 5, "\(ticks)")
      #expect(ticks.allSatisfy { $0.value >= -0.0101 && $0.value <= high * 1.0001 })
      #expect(Set(labels(ticks)).count == ticks.count)
    }
  }

  @Test func `Logarithmic ticks are decades`() {
    let ticks = logarithmicTicks(0.04...3500, atMost: 8)
    #expect(ticks.map(\.value) == [0.1, 1, 10, 100, 1000])
    #expect(labels(ticks) == ["0.1", "1", "10", "100", "1000"])
    #expect(labels(logarithmicTicks(1e-4...200, atMost: 8)) == ["10⁻⁴", "10⁻³", "10⁻²", "10⁻¹", "1", "10", "10²"])
    #expect(labels(logarithmicTicks(1e-13...0.02, atMost: 6)) == ["10⁻¹²", "10⁻¹⁰", "10⁻⁸", "10⁻⁶", "10⁻⁴", "10⁻²"])
    #expect(labels(logarithmicTicks(100...1e5, atMost: 8)) == ["10²", "10³", "10⁴", "10⁵"])
  }

  @Test func `Short logarithmic axes have ticks between the decades`() {
    #expect(labels(logarithmicTicks(0.4...45, atMost: 8)) == ["0.5", "1", "2", "5", "10", "20"])
    #expect(labels(logarithmicTicks(0.4...45, atMost: 4)) == ["1", "10"])
    #expect(labels(logarithmicTicks(3e-5...3e-4, atMost: 8)) == ["5×10⁻⁵", "10⁻⁴", "2×10⁻⁴"])
    #expect(labels(logarithmicTicks(1.2...1.9, atMost: 5)) == ["1.2", "1.4", "1.6", "1.8"])
  }

  @Test(arguments: [
    (1.0, "1"), (1024, "1024"), (131_072, "131072"), (0.5, "0.5"), (0.002, "0.002"), (12.3456, "12.35"),
    (12345.6, "12346"), (1e7, "10⁷"), (2.5e8, "2.5×10⁸"), (1e-4, "10⁻⁴"), (9.9999e-5, "10⁻⁴"),
    (3.14159e-12, "3.142×10⁻¹²"),
  ])
  func `A number by itself has the digits it needs`(_ value: Double, _ text: String) {
    #expect(label(of: value) == text)
  }
}
