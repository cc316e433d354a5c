import ArgumentParser
import Console
import Files
import Foundation
import ModelZoo

@main
struct MPNBench: ParsableCommand {
  static func main() { ToolMain.run(Self.self) }

  static let configuration = CommandConfiguration(
    commandName: "mpn-bench",
    abstract: "Times roads to the matrix square root: eigendecomposition, SVD, Newton–Schulz and others.",
    discussion: """
      All methods, forward and backward, on made-up features of five sizes:
        mpn-bench

      At the size of the published networks, beside PyTorch (make peers installs it), with charts:
        mpn-bench --dimensions 256 --positions 196 --peers --output results

      On the covariances of a network that comes with the package, or of a checkpoint of your own:
        mpn-bench --features resnet20-fastmpn
        mpn-bench --features fastmpn50.pth.tar --images imagenet/val

      Times are milliseconds for one matrix, from features [B, d, N] to the result, median over rounds with half of the \
      interquartile range: 'forward' as at inference, 'both' forward and backward as in training. 'peak' is the \
      textbook's count of operations in that time, as a share of what plain products reach; 'kept' what a forward pass \
      keeps for the backward pass. Errors are relative, in Frobenius norm, against the exact function in double precision \
      on the same features; 'residual' is ‖S·S − Σ‖ / ‖Σ‖ of the worst sample.
      """, version: ToolVersion.text(of: "mpn-bench"))

  @Option(help: ArgumentHelp("Channels d of made-up features.", valueName: "list"), transform: Self.list)
  var dimensions = [32, 64, 128, 256, 512]

  @Option(
    help: ArgumentHelp("Positions N of made-up features; 196 is 224 px.", valueName: "list"), transform: Self.list)
  var positions = [196]

  @Option(help: ArgumentHelp("Matrices in a batch.", valueName: "list"), transform: Self.list)
  var batch = [16]

  @Option(
    help: ArgumentHelp(
      "Methods by name, or normalizations as zoo-eval has them, separated by spaces; all stands for \(Method.all.map(\.name).joined(separator: " ")).",
      valueName: "list"), transform: { $0.split(separator: " ").map(String.init) })
  var methods = ["all"]

  @Option(help: ArgumentHelp("float, double or float,double.", valueName: "list"), transform: Self.precisions)
  var precision = [Precision.float]

  @Option(
    help: ArgumentHelp(
      "Threads; of several numbers, such as 1,2, each is timed.  (default: all processors)", valueName: "list"),
    transform: Self.list)
  var threads: [Int] = []

  @Option(
    help: ArgumentHelp("white, decaying or rank-deficient, separated by commas.", valueName: "list"),
    transform: Self.spectra)
  var spectrum = [Features.Spectrum.decaying]

  @Option(
    help: ArgumentHelp(
      "Features of a file, of a network in the box or of a checkpoint, in place of made-up ones.", valueName: "source"))
  var features: String?

  @Option(help: ArgumentHelp("The images for --features with a network.", valueName: "dir"), completion: .directory)
  var images: String?

  @Option(help: "Rounds in which each method has a turn.")
  var rounds = 9

  @Flag(help: "Time PyTorch's implementations in the same rounds.")
  var peers = false

  @Option(
    help: ArgumentHelp(
      "The Python that has PyTorch.  (default: .venv-peers/bin/python, else python3)", valueName: "path"))
  var python: String?

  @Option(
    help: ArgumentHelp("Write roots.csv, iterations.csv and charts.", valueName: "dir"), completion: .directory)
  var output: String?

  enum Precision: String, CaseIterable { case float, double }

  func validate() throws {
    for (name, values, most) in [
      ("--dimensions", dimensions, 4096), ("--positions", positions, 1 << 20), ("--batch", batch, 4096),
      ("--rounds", [rounds], 10_000), ("--threads", threads, Int.max),
    ] {
      if let wrong = values.first(where: { !(1...most).contains($0) }) {
        throw ValidationError("\(name) must be from 1 to \(most), not \(wrong)")
      }
    }
    guard !methods.isEmpty else { throw ValidationError("--methods names none") }
    if let d = dimensions.max(), let n = positions.max(), let batch = batch.max(), batch * d * max(d, n) > 1 << 30 {
      throw ValidationError(
        "\(batch) matrices of \(d) channels and \(n) positions take more memory than the 4 GB this is made for")
    }
    guard images == nil || features != nil else { throw ValidationError("--images needs --features") }
  }

  func run() throws {
    keepFreedMemory()
    Output.checkBuild(of: "mpn-bench")
    if let warning = BLASInfo.current.warning { Output.warn(warning) }
    let chosen = try methods.flatMap { $0 == "all" ? Method.all : [try Method($0)] }
    if let output {
      try createDirectory(output)
    }
    try Resources.useThreads(threads.max())
    let threads =
      threads.isEmpty ? [WorkerPool.shared.width] : Set(threads.map { min($0, WorkerPool.shared.width) }).sorted()
    let most = threads.max() ?? 1
    let peer = peers ? try PeerProcess(python: python ?? Self.defaultPython, threads: most) : nil
    let blas = BLASInfo.current
    Output.line("\(blas.processor ?? "unknown processor"); \(blas.library) \(blas.version), kernel \(blas.kernel)")
    let peaks = threads.map { threads in
      WorkerPool.shared.width = threads
      let peak = (float: gemmPeak(Float.self), double: gemmPeak(Double.self))
      Output.line(
        String(
          format: "%d %@: plain products reach %.0f GFLOP/s in single and %.0f in double precision", threads,
          threads == 1 ? "thread" : "threads", peak.float, peak.double))
      return peak
    }
    if let peer { Output.line("PyTorch \(peer.version)") }
    var rows: [Row] = []
    var inputs = try sources()
    let count = inputs.count * precision.count
    var done = 0
    for input in inputs {
      for precision in precision {
        done += 1
        var comparison = Comparison(methods: chosen, rounds: rounds, threads: threads, peer: peer)
        let title =
          "\(input.name) features, d = \(input.dimension), N = \(input.positions), batch \(input.tensor.shape[0]), "
          + "\(precision)"
        comparison.onProgress = { Output.status("\(title) (\(done) of \(count)): round \($0 + 1) of \(rounds)") }
        let found =
          switch precision {
          case .float: try comparison.run(input, as: Float.self, peaks: peaks.map(\.float))
          case .double: try comparison.run(input, as: Double.self, peaks: peaks.map(\.double))
          }
        Output.status("")
        Output.line("\n\(title)")
        Output.line(Row.table(found))
        rows += found
        // After every batch of features, so that an interruption loses little.
        if let output { try writeAtomically(Row.csv(rows), to: output + "/roots.csv") }
      }
    }
    guard let output else { return }
    // The size that the charts of errors are for: the published one, or the largest.
    let size = inputs.contains { $0.dimension == 256 } ? 256 : inputs.map(\.dimension).max() ?? 0
    inputs.removeAll { $0.dimension != size }
    let charts = try inputs.first.map { try writeCharts(rows, $0, to: output) } ?? []
    Output.line("written: \(output)/roots.csv, \(charts.joined(separator: ", "))")
  }

  private func sources() throws -> [Features] {
    if let features {
      return try batch.map { try Features.load(features, images: images, batch: $0) }
    }
    return spectrum.flatMap { spectrum in
      dimensions.flatMap { d in
        positions.flatMap { n in batch.map { Features(spectrum, batch: $0, dimension: d, positions: n) } }
      }
    }
  }

  /// Returns the names of the files.
  private func writeCharts(_ rows: [Row], _ features: Features, to directory: String) throws -> [String] {
    let batch = features.tensor.shape[0]
    let alike = rows.filter {
      $0.batch == batch && $0.positions == features.positions && $0.features == features.name
        && $0.precision == rows.first?.precision && $0.threads == WorkerPool.shared.width
    }
    let convergence = try Convergence.measure(features.tensor)
    var figures = [("roots-iterations.svg", Figures.convergence(convergence))]
    if alike.contains(where: { $0.dimension != features.dimension }) {
      figures.append(("roots-time.svg", Figures.time(alike)))
    }
    let roots = alike.filter { $0.dimension == features.dimension && $0.accuracy?.residual != nil }
    if !roots.isEmpty { figures.append(("roots-pareto.svg", Figures.pareto(roots))) }
    for (name, figure) in figures { try writeAtomically(figure.svg, to: directory + "/" + name) }
    let lines = convergence.map { String(format: "%@,%d,%.5g,%.5g\n", $0.method, $0.step, $0.value, $0.gradient) }
    try writeAtomically(
      "method,step,value_error,gradient_error\n"
        + lines.map { $0.replacing("Schulz, ", with: "Schulz ") }.joined(), to: directory + "/iterations.csv")
    return ["iterations.csv"] + figures.map(\.0)
  }

  private static var defaultPython: String {
    let own = ".venv-peers/bin/python"
    return FileManager.default.isExecutableFile(atPath: own) ? own : "python3"
  }

  private static func list(_ text: String) throws -> [Int] {
    let parts = text.split(separator: ",", omittingEmptySubsequences: false)
    return try parts.map { part in
      guard let value = Int(part) else { throw ValidationError("expected integers separated by commas") }
      return value
    }
  }

  private static func precisions(_ text: String) throws -> [Precision] { try choices(text) }
  private static func spectra(_ text: String) throws -> [Features.Spectrum] { try choices(text) }

  private static func choices<Choice: CaseIterable & RawRepresentable<String>>(_ text: String) throws -> [Choice] {
    try text.split(separator: ",", omittingEmptySubsequences: false).map { part in
      guard let choice = Choice(rawValue: String(part)) else {
        throw ValidationError("expected \(Choice.allCases.map(\.rawValue).joined(separator: ", ")), found '\(part)'")
      }
      return choice
    }
  }
}
