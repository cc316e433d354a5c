/// The vector instructions that decide how fast products are on x86-64 processors, in ascending order.
public enum VectorInstructions: Int, CaseIterable, Comparable, Sendable, CustomStringConvertible {
  /// 128 bits at a time: SSE2 to SSE4.2.
  case sse
  /// 256 bits at a time, without AVX2's fused multiply-add (some AMD processors of this step have FMA4).
  case avx
  /// 256 bits at a time with fused multiply-add.
  case avx2
  /// 512 bits at a time.
  case avx512

  /// Whether `a` is the older set.
  public static func < (a: VectorInstructions, b: VectorInstructions) -> Bool { a.rawValue < b.rawValue }

  /// The name as processor makers write it.
  public var description: String {
    switch self {
    case .sse: "SSE"
    case .avx: "AVX"
    case .avx2: "AVX2"
    case .avx512: "AVX-512"
    }
  }

  /// The best instructions of a processor, from its `flags` in Linux's `/proc/cpuinfo`.
  ///
  /// These are the flags that OpenBLAS's kernels of the same step need, so a processor with only a part of AVX-512
  /// counts as AVX2. Linux does not list what it or a hypervisor has switched off.
  package init(flags: Set<Substring>) {
    if flags.isSuperset(of: ["avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"]) {
      self = .avx512
    } else if flags.isSuperset(of: ["avx2", "fma"]) {
      self = .avx2
    } else if flags.contains("avx") {
      self = .avx
    } else {
      self = .sse
    }
  }

  /// The instructions that one of OpenBLAS's x86 kernels is written for; `nil` for any other name, such as an ARM
  /// kernel's.
  package init?(kernel: String) {
    guard let instructions = Self.kernels[kernel.lowercased()] else { return nil }
    self = instructions
  }

  private static let kernels: [String: VectorInstructions] = {
    let names: [VectorInstructions: [String]] = [
      .sse: [
        // Plain C, which a compiler turns into SSE2 at best.
        "generic",
        "katmai", "coppermine", "northwood", "prescott", "banias", "core2", "penryn", "dunnington", "nehalem", "atom",
        "nano", "athlon", "opteron", "opteron_sse3", "barcelona", "bobcat",
      ],
      .avx: ["sandybridge", "bulldozer", "piledriver", "steamroller"],
      .avx2: ["haswell", "zen", "excavator"],
      .avx512: ["skylakex", "cooperlake", "sapphirerapids"],
    ]
    return Dictionary(uniqueKeysWithValues: names.flatMap { set, names in names.map { ($0, set) } })
  }()
}
