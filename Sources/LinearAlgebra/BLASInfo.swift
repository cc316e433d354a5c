import COpenBLAS
import Foundation

/// Which BLAS this process computes with, and whether it uses what the processor has.
public struct BLASInfo: Sendable {
  /// The library's name: `OpenBLAS`.
  public let library: String
  /// The library's version, such as `0.3.21`.
  public let version: String
  /// The kernel in use, by the processor that it was written for: `Haswell`, `SkylakeX`, `neoversen1`.
  public let kernel: String
  /// How many threads one call uses: 1, because this package spreads work over threads outside of BLAS.
  public let threads: Int
  /// The processor's name, where the system tells (on Linux).
  public let processor: String?
  /// The processor's best vector instructions, where the system tells (on Linux, x86-64).
  public let instructions: VectorInstructions?
  /// One line for the user where the kernel in use is for lesser instructions than the processor has: what is in use,
  /// what there is, what it costs and what helps.
  public let warning: String?

  /// The BLAS of this process.
  public static let current = BLASInfo()

  private init() {
    useSingleThreadedBLAS()
    (library, version) = Self.parse(configuration: String(cString: openblas_get_config()))
    kernel = String(cString: openblas_get_corename())
    threads = Int(openblas_get_num_threads())
    let description = systemFile("/proc/cpuinfo") ?? ""
    (processor, instructions) = Self.parse(processorInformation: description)
    warning = Self.warning(
      kernel: kernel, processor: instructions, environment: ProcessInfo.processInfo.environment)
  }

  /// Name and version from `openblas_get_config()`: `OpenBLAS 0.3.21 NO_LAPACKE DYNAMIC_ARCH …`.
  package static func parse(configuration: String) -> (library: String, version: String) {
    let words = configuration.split(separator: " ")
    let version = words.dropFirst().first { $0.first?.isNumber == true }
    return (words.first.map(String.init) ?? "OpenBLAS", version.map(String.init) ?? "unknown")
  }

  /// Name and vector instructions of the first processor in the text of Linux's `/proc/cpuinfo`.
  package static func parse(
    processorInformation: String
  ) -> (name: String?, instructions: VectorInstructions?) {
    var fields: [String: String] = [:]
    for line in processorInformation.split(separator: "\n") {
      let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
      if parts.count == 2, fields[parts[0]] == nil { fields[parts[0]] = parts[1] }
    }
    let flags = fields["flags"].map { Set($0.split(separator: " ")) }
    return (fields["model name"], flags.map(VectorInstructions.init(flags:)))
  }

  /// The warning's rule.
  ///
  /// The cost is a bound: each step of instructions can double the rate of products, and the step from AVX2 to AVX-512
  /// and that from SSE to AVX do. Nothing is said of kernels or processors that are not known.
  package static func warning(
    kernel: String, processor: VectorInstructions?, environment: [String: String]
  ) -> String? {
    guard let processor, let used = VectorInstructions(kernel: kernel), used < processor else { return nil }
    let factor = 1 << (processor.rawValue - used.rawValue)
    return "OpenBLAS uses its \(kernel) kernel (\(used)) although the processor has \(processor), so matrix products "
      + "may take up to \(factor) times as long; \(remedy(kernel: kernel, environment: environment))"
  }

  private static func remedy(kernel: String, environment: [String: String]) -> String {
    let upgrade = "an OpenBLAS that knows this processor (a newer one, or one built with DYNAMIC_ARCH)"
    guard let asked = environment["OPENBLAS_CORETYPE"], !asked.isEmpty else { return "install \(upgrade)" }
    // Where OpenBLAS lacks the kernel that was asked for, it chooses for itself: then unsetting may not be enough.
    return asked.lowercased() == kernel.lowercased()
      ? "OPENBLAS_CORETYPE=\(asked) in the environment asks for it: unset it"
      : "OPENBLAS_CORETYPE=\(asked) is in the environment: unset it, and if that does not help install \(upgrade)"
  }
}
