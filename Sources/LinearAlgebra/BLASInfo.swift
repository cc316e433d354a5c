import COpenBLAS
import Foundation

/// Instruction sets that decide how fast products are, in ascending order.
public enum VectorInstructions: Int, Comparable, Sendable, CustomStringConvertible {
  /// 128 bits: SSE.
  case sse
  /// 256 bits without fused multiply-add: AVX.
  case avx
  /// 256 bits with fused multiply-add: AVX2.
  case avx2
  /// 512 bits: AVX-512.
  case avx512

  public static func < (a: VectorInstructions, b: VectorInstructions) -> Bool { a.rawValue < b.rawValue }

  public var description: String {
    switch self {
    case .sse: "SSE"
    case .avx: "AVX"
    case .avx2: "AVX2"
    case .avx512: "AVX-512"
    }
  }

  /// The instructions that an OpenBLAS kernel is written for; `nil` for kernels of other processors.
  static func used(byKernel name: String) -> VectorInstructions? { kernels[name.lowercased()] }

  private static let kernels: [String: VectorInstructions] = [
    "generic": .sse, "prescott": .sse, "core2": .sse, "penryn": .sse, "dunnington": .sse, "nehalem": .sse,
    "athlon": .sse, "opteron": .sse, "opteron_sse3": .sse, "barcelona": .sse, "bobcat": .sse, "atom": .sse,
    "nano": .sse, "katmai": .sse, "coppermine": .sse, "northwood": .sse, "banias": .sse,
    "sandybridge": .avx, "bulldozer": .avx, "piledriver": .avx, "steamroller": .avx,
    "haswell": .avx2, "zen": .avx2, "excavator": .avx2,
    "skylakex": .avx512, "cooperlake": .avx512, "sapphirerapids": .avx512,
  ]

  /// The best instructions among a processor's features, as Linux lists them.
  init(features: Set<Substring>) {
    if features.isSuperset(of: ["avx512f", "avx512bw", "avx512dq", "avx512vl"]) {
      self = .avx512
    } else if features.isSuperset(of: ["avx2", "fma"]) {
      self = .avx2
    } else if features.contains("avx") {
      self = .avx
    } else {
      self = .sse
    }
  }
}

/// Which BLAS this process multiplies with, and whether it does so as fast as the processor could.
public struct BLASInfo: Sendable {
  /// The library's name.
  public let library: String
  /// The library's version.
  public let version: String
  /// The kernel in use: the processor that its products are written for.
  public let kernel: String
  /// Threads within one call; 1, since work is spread over threads outside of BLAS.
  public let threads: Int
  /// The processor's name, where the system tells.
  public let processor: String?
  /// The processor's best vector instructions, where they are known.
  public let instructions: VectorInstructions?
  /// One line where the kernel is for lesser instructions than the processor has.
  public let warning: String?

  /// The BLAS of this process.
  public static let current = BLASInfo()

  private init() {
    useSingleThreadedBLAS()
    let words = String(cString: openblas_get_config()).split(separator: " ")
    library = words.first.map(String.init) ?? "OpenBLAS"
    version = words.count > 1 ? String(words[1]) : "unknown"
    kernel = String(cString: openblas_get_corename())
    threads = Int(openblas_get_num_threads())
    let information = (try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? ""
    processor = Self.field("model name", in: information).map(String.init)
    instructions = Self.field("flags", in: information).map {
      VectorInstructions(features: Set($0.split(separator: " ")))
    }
    warning = Self.warning(
      kernel: kernel, processor: instructions, environment: ProcessInfo.processInfo.environment)
  }

  /// The first value of a field of /proc/cpuinfo.
  static func field(_ name: String, in information: String) -> Substring? {
    for line in information.split(separator: "\n") where line.hasPrefix(name) {
      let parts = line.split(separator: ":", maxSplits: 1)
      if parts.count == 2 { return parts[1].drop { $0 == " " } }
    }
    return nil
  }

  /// The warning for a kernel on a processor: what is in use, what there is, what it costs and what helps.
  package static func warning(
    kernel: String, processor: VectorInstructions?, environment: [String: String]
  ) -> String? {
    guard let processor, let used = VectorInstructions.used(byKernel: kernel), used < processor else { return nil }
    let cost = processor.rawValue - used.rawValue > 1 ? "2 to 8 times" : "up to twice"
    let remedy =
      environment["OPENBLAS_CORETYPE"].map { "OPENBLAS_CORETYPE=\($0) asks for that: unset it" }
      ?? "a newer OpenBLAS, or one built with DYNAMIC_ARCH, has kernels for this processor"
    return "OpenBLAS uses its \(kernel) kernel (\(used)) although the processor has \(processor): "
      + "everything takes \(cost) as long; \(remedy)"
  }
}
