import Checkpoints
import Foundation
import ModelZoo
import Testing

@Suite struct MPNBenchTests {
  private func uniform(_ shape: Shape) -> Tensor<Float> {
    RandomStream(seed: 0, name: "features").uniform(shape, low: -1, high: 1)
  }

  @Test func `It says version, commit and BLAS`() throws {
    let run = try Scratch().run(["--version"])
    #expect(run.status == 0 && run.errors.isEmpty)
    let form = /mpn-bench \d+\.\d+\.\d+ \(commit ([0-9a-f]{7,40}(-dirty)?|unknown)\), OpenBLAS [0-9.]+, kernel \w+\n/
    #expect(run.output.wholeMatch(of: form) != nil, "\(run.output)")
  }

  @Test func `It is installed with its manual page and completions`() throws {
    let scratch = try Scratch()
    let repository = URL(fileURLWithPath: #filePath).appending(path: "../../../..").standardizedFileURL.path
    let make = try scratch.run(
      [
        "make", "-s", "-C", repository, "install-built", "BUILD=\(Scratch.products.path)", "TOOLS=mpn-bench",
        "DESTDIR=\(scratch.path)", "PREFIX=/opt",
      ], program: URL(fileURLWithPath: "/usr/bin/env"))
    try #require(make.status == 0, "\(make)")
    #expect(try scratch.read("opt/share/man/man1/mpn-bench.1").contains("\\fB\\-\\-methods <"))
    for file in ["bash-completion/completions/mpn-bench", "zsh/site-functions/_mpn-bench"] {
      #expect(try scratch.read("opt/share/" + file).contains("methods"))
    }
    #expect(FileManager.default.isExecutableFile(atPath: scratch.path + "/opt/bin/mpn-bench"))
  }

  /// The rows of roots.csv by their columns' names.
  private func rows(_ scratch: Scratch) throws -> [[String: String]] {
    let lines = try scratch.read("out/roots.csv").split(separator: "\n").map {
      $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
    return lines.dropFirst().map { Dictionary(uniqueKeysWithValues: zip(lines[0], $0)) }
  }

  @Test func `All methods are timed, checked and drawn`() throws {
    let scratch = try Scratch()
    let run = try scratch.run(
      ["--dimensions", "12,16", "--positions", "9", "--batch", "4", "--rounds", "2", "--precision", "float,double"]
        + ["--output", scratch.path + "/out"])
    #expect(run.status == 0 && run.errorLines.isEmpty, "\(run.errors)")
    let rows = try rows(scratch)
    let methods = Set(rows.compactMap { $0["method"] })
    #expect(
      rows.count == 2 * 2 * methods.count && methods.isSuperset(of: ["ns5", "gram", "eig", "svd", "pade", "epn"]))
    for row in rows {
      let method = row["method"] ?? ""
      #expect(Double(row["forward_ms"] ?? "").map { $0 > 0 } == true, "\(method)")
      guard method != "12 plain products" else { continue }
      #expect(Double(row["both_ms"] ?? "").map { $0 > 0 } == true, "\(method)")
      #if canImport(Glibc)
        // No method allocates for a further matrix once it is warm.
        #expect(row["allocations"] == "0", "\(method): \(row["allocations"] ?? "")")
        #expect(Int(row["kept_bytes"] ?? "").map { $0 > 0 } == true, "\(method)")
      #endif
      if ["gram", "gram-mrrr", "eig", "eig-mrrr", "eig+lyapunov", "svd"].contains(method) {
        let limit = row["precision"] == "float32" ? 1e-5 : 1e-9
        #expect(Double(row["value_error"] ?? "").map { $0 <= limit } == true, "\(method): \(row)")
        #expect(Double(row["gradient_error"] ?? "").map { $0 <= 1e-4 } == true, "\(method): \(row)")
      }
    }
    for name in ["roots-time.svg", "roots-pareto.svg", "roots-iterations.svg"] {
      #expect(try scratch.read("out/" + name).hasPrefix("<svg") || scratch.read("out/" + name).hasPrefix("<?xml"))
    }
    let points = try scratch.read("out/iterations.csv").split(separator: "\n")
    #expect(points.first == "method,step,value_error,gradient_error" && points.count == 1 + 4 * 20)
    #expect(points.allSatisfy { $0.split(separator: ",").count == 4 })
  }

  @Test func `Features come from networks, checkpoints and files`() throws {
    let scratch = try Scratch()
    let common = [
      "--rounds", "1", "--batch", "2", "--methods", "ns5 power:exponent=0.3", "--output", scratch.path + "/out",
    ]
    let box = try scratch.run(["--features", "resnet20-mpn"] + common)
    #expect(box.status == 0 && box.output.contains("resnet20-mpn"), "\(box.errors)")
    #expect(try rows(scratch).first?["d"] == "64")
    let checkpoint = try scratch.writeNetwork()
    let network = try scratch.run(["--features", checkpoint] + common)
    #expect(network.status == 0 && network.output.contains("random images"), "\(network.errors)")
    #expect(try rows(scratch).first?["d"] == "8")
    let file = scratch.path + "/f.safetensors"
    try writeSafetensors(
      [(name: "features", tensor: uniform([3, 6, 2, 5]))], metadata: [:], to: file)
    #expect(try scratch.run(["--features", file] + common).status == 0)
    let row = try #require(try rows(scratch).last { $0["method"] == "power:exponent=0.3" })
    #expect(row["d"] == "6" && row["positions"] == "10" && row["batch"] == "2")
    #expect(Double(row["value_error"] ?? "").map { $0 < 1e-5 } == true)
  }

  @Test func `Features that are not finite are refused`() throws {
    let scratch = try Scratch()
    let file = scratch.path + "/f.safetensors"
    var scalars = uniform([1, 6, 10]).scalars
    scalars[33] = .nan
    try writeSafetensors([(name: "features", tensor: Tensor<Float>([1, 6, 10], scalars))], metadata: [:], to: file)
    let run = try scratch.run(["--features", file, "--batch", "1", "--methods", "gram"])
    #expect(run.status == 1 && run.errorLines.count == 1 && run.errors.contains("finite"), "\(run.errors)")
  }

  @Test(arguments: [
    (["--methods", "ns6"], 1, "unknown method 'ns6'"), (["--methods", "dropcov"], 1, "not timed here"),
    (["--methods", "power:exponent=-1"], 1, "exponent must be a number greater than 0"),
    (["--methods", " "], 64, "--methods names none"),
    (["--dimensions", "4096", "--positions", "1048576"], 64, "more memory"),
    (["--features", "/nowhere"], 1, "no such file"), (["--features", "resnet20"], 1, "takes no covariance"),
    (["--output", "/dev/null/x"], 1, "/dev/null/x"), (["--dimensions", "0"], 64, "from 1 to 4096"),
    (["--dimensions", "4,x"], 64, "integers separated by commas"), (["--precision", "half"], 64, "float, double"),
    (["--images", "x"], 64, "--images needs --features"), (["--peers", "--python", "/nowhere/python"], 1, "--peers"),
  ])
  func `Mistakes are one line`(_ arguments: [String], _ status: Int, _ words: String) throws {
    let scratch = try Scratch()
    let run = try scratch.run(arguments)
    #expect(Int(run.status) == status && run.errors.contains(words), "\(run.errors)")
    if status == 1 { #expect(run.errorLines.count == 1) }
  }

  @Test func `An iterative gradient that does not converge is an error that names method and sample`() throws {
    let scratch = try Scratch()
    let run = try scratch.run(
      [
        "--dimensions", "16", "--positions", "9", "--batch", "2", "--methods",
        "newton-schulz:gradient=iterative-lyapunov",
      ])
    #expect(run.status == 1 && run.errorLines.count == 1)
    #expect(run.errors.contains("sample 0 of the batch") && run.errors.contains("full rank"), "\(run.errors)")
  }
}
