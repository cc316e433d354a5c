import Foundation
import LinearAlgebra
import Testing

@Suite struct BLASReportTests {
  private static let kernels: [VectorInstructions: [String]] = [
    .sse: [
      "Prescott", "Core2", "Penryn", "Dunnington", "Nehalem", "Atom", "Nano", "Athlon", "Opteron", "Opteron_SSE3",
      "Barcelona", "Bobcat", "Generic", "PRESCOTT",
    ],
    .avx: ["Sandybridge", "Bulldozer", "Piledriver", "Steamroller"],
    .avx2: ["Haswell", "Zen", "Excavator"],
    .avx512: ["SkylakeX", "Cooperlake", "SapphireRapids"],
  ]

  @Test(arguments: VectorInstructions.allCases, VectorInstructions.allCases)
  func `A kernel is warned of exactly where the processor has more`(
    _ used: VectorInstructions, _ processor: VectorInstructions
  ) throws {
    for kernel in try #require(Self.kernels[used]) {
      #expect(VectorInstructions(kernel: kernel) == used)
      let warning = BLASInfo.warning(kernel: kernel, processor: processor, environment: [:])
      #expect((warning != nil) == (used < processor), "\(kernel) on \(processor)")
    }
  }

  @Test(arguments: [
    ("Prescott", VectorInstructions.avx, 2), ("Nehalem", .avx2, 4), ("Prescott", .avx512, 8), ("Sandybridge", .avx2, 2),
    ("Sandybridge", .avx512, 4), ("Haswell", .avx512, 2), ("Zen", .avx512, 2),
  ])
  func `The warning says in one line what is in use, what there is, the cost and the remedy`(
    _ kernel: String, _ processor: VectorInstructions, _ factor: Int
  ) throws {
    let warning = try #require(BLASInfo.warning(kernel: kernel, processor: processor, environment: [:]))
    for part in [kernel, "\(processor)", "up to \(factor) times", "newer", "DYNAMIC_ARCH"] {
      #expect(warning.contains(part), "\(part)")
    }
    #expect(!warning.contains("\n") && !warning.contains("OPENBLAS_CORETYPE"))
  }

  @Test func `The variable that forces the kernel is named where it is set`() throws {
    func warning(_ variable: String) throws -> String {
      try #require(
        BLASInfo.warning(kernel: "Haswell", processor: .avx512, environment: ["OPENBLAS_CORETYPE": variable]))
    }
    for spelling in ["Haswell", "HASWELL"] {
      #expect(try warning(spelling).hasSuffix("OPENBLAS_CORETYPE=\(spelling) in the environment asks for it: unset it"))
    }
    // Asked for a kernel that this OpenBLAS lacks: the variable may not be the cause.
    let other = try warning("SapphireRapids")
    #expect(other.contains("OPENBLAS_CORETYPE=SapphireRapids") && other.contains("newer"))
    #expect(try !warning("").contains("OPENBLAS_CORETYPE"))
  }

  @Test func `Nothing is said of kernels and processors that are not known`() {
    for kernel in ["armv8", "neoversen1", "Unknown", "POWER9", ""] {
      #expect(BLASInfo.warning(kernel: kernel, processor: .avx512, environment: [:]) == nil)
    }
    #expect(BLASInfo.warning(kernel: "Prescott", processor: nil, environment: [:]) == nil)
  }

  @Test(arguments: [
    ("fpu sse sse2 ssse3 sse4_1 sse4_2", VectorInstructions.sse), ("sse2 avx", .avx),
    // Bulldozer's FMA4 is not AVX2, and AVX2 without FMA is not enough.
    ("sse2 avx fma4", .avx), ("sse2 avx avx2", .avx), ("sse2 avx fma avx2", .avx2),
    ("sse2 avx fma avx2 avx512f avx512cd", .avx2),
    ("sse2 avx fma avx2 avx512f avx512cd avx512bw avx512dq avx512vl", .avx512),
  ])
  func `The flags of a processor tell its best instructions`(_ flags: String, _ expected: VectorInstructions) {
    #expect(VectorInstructions(flags: Set(flags.split(separator: " "))) == expected)
  }

  @Test func `Name and flags are read from the first processor of Linux's list`() {
    let x86 = """
      processor\t: 0
      model\t\t: 79
      model name\t: Intel(R) Xeon(R) CPU: E5 @ 2.20GHz
      vmx flags\t: avx512f avx512cd avx512bw avx512dq avx512vl
      flags\t\t: fpu sse2 avx fma avx2

      processor\t: 1
      model name\t: another
      flags\t\t: sse2
      """
    let first = BLASInfo.parse(processorInformation: x86)
    #expect(first.name == "Intel(R) Xeon(R) CPU: E5 @ 2.20GHz" && first.instructions == .avx2)
    let arm = BLASInfo.parse(processorInformation: "processor\t: 0\nFeatures\t: fp asimd\nCPU part\t: 0xd0c\n")
    #expect(arm.name == nil && arm.instructions == nil)
    let nothing = BLASInfo.parse(processorInformation: "")
    #expect(nothing.name == nil && nothing.instructions == nil)
  }

  @Test(arguments: [
    ("OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH NO_AFFINITY Haswell MAX_THREADS=64", "OpenBLAS", "0.3.21"),
    ("OpenBLAS 0.3.26.dev  USE64BITINT Zen", "OpenBLAS", "0.3.26.dev"),
    ("NO_AFFINITY Haswell", "NO_AFFINITY", "unknown"), ("", "OpenBLAS", "unknown"),
  ])
  func `The configuration names the library and its version`(_ text: String, _ library: String, _ version: String) {
    let parsed = BLASInfo.parse(configuration: text)
    #expect(parsed.library == library && parsed.version == version)
  }

  @Test func `This process's BLAS is OpenBLAS with one thread, and its warning follows the rule`() {
    let info = BLASInfo.current
    #expect(info.library == "OpenBLAS" && info.version.contains(".") && !info.kernel.isEmpty && info.threads == 1)
    let expected = BLASInfo.warning(
      kernel: info.kernel, processor: info.instructions, environment: ProcessInfo.processInfo.environment)
    #expect(info.warning == expected)
  }
}
