import Foundation
import Testing
import ToolTestSupport

/// Tools elsewhere than where they were built.
@Suite struct InstallationTests {
  private let sources = URL(fileURLWithPath: #filePath).appending(path: "../../..").standardizedFileURL.path

  @Test(arguments: ["zoo-eval", "zoo-train"])
  func `Each tool says version, commit and BLAS`(_ tool: String) throws {
    let run = try runTool(tool, ["--version"])
    #expect(run.status == 0 && run.errors.isEmpty)
    let form = /[a-z-]+ \d+\.\d+\.\d+ \(commit ([0-9a-f]{7,40}(-dirty)?|unknown)\), OpenBLAS [0-9.]+, kernel \w+\n/
    #expect(run.output.wholeMatch(of: form) != nil && run.output.hasPrefix(tool + " "), "\(run.output)")
  }

  @Test func `A tool that was copied alone does all that needs no other file`() throws {
    let scratch = try Scratch()
    try scratch.writeCIFAR(images: 3)
    let checkpoint = quoted(try scratch.writeNetwork())
    let copy = "mkdir -p else && cp \"$TOOL\" else/ && else/zoo-eval"
    for line in [
      "--list", "--version", "resnet20 --checkpoint \(checkpoint) --data data",
      "resnet20-mpn --random-weights --batch-size 1",
    ] {
      let run = try runShell("cd \(quoted(scratch.path)) && \(copy) \(line)", tool: "zoo-eval")
      #expect(run.status == 0 && !run.output.isEmpty, "\(line): \(run)")
    }
    // The sources may still be where it was built; then the box is found there.
    let box = try runShell("cd \(quoted(scratch.path)) && \(copy) resnet20-fastmpn --data data", tool: "zoo-eval")
    #expect(box.status == 0 || (box.status == 1 && box.errorLines.count == 1), "\(box)")
  }

  @Test func `Installation puts everything where it belongs, and takes it away again`() throws {
    let scratch = try Scratch()
    let make =
      "make -s -C \(quoted(sources)) BUILD=\(quoted(toolURL("").path)) TOOLS='zoo-eval zoo-train' "
      + "DESTDIR=\(quoted(scratch.path)) PREFIX=/opt/cov"
    let install = try runShell(make + " install-built", tool: "zoo-eval")
    try #require(install.status == 0, "\(install)")
    let root = scratch.path + "/opt/cov"
    for tool in ["zoo-eval", "zoo-train"] {
      let run = try runShell("\(quoted(root))/bin/\(tool) --version", tool: tool)
      #expect(run.status == 0 && run.output.hasPrefix(tool))
      let manual = try scratch.read("opt/cov/share/man/man1/\(tool).1")
      #expect(manual.contains(".SH NAME\n\(tool.replacingOccurrences(of: "-", with: #"\-"#)) \\- "))
      #expect(manual.hasPrefix(".TH") && manual.contains(".SH SYNOPSIS\n") && manual.contains("\\fB\\-\\-threads <"))
      for script in [
        "bash-completion/completions/\(tool)", "zsh/site-functions/_\(tool)", "fish/vendor_completions.d/\(tool).fish",
      ] {
        #expect(try scratch.read("opt/cov/share/" + script).contains("threads"))
      }
    }
    let networks = try FileManager.default.contentsOfDirectory(atPath: root + "/share/swift-covpool/Networks")
    #expect(networks.contains("resnet20-fastmpn.safetensors"))
    // The box of the installation is looked for before that of the sources: an empty one shows which it is.
    try FileManager.default.removeItem(atPath: root + "/share/swift-covpool/Networks/resnet20.safetensors")
    let box = try runShell("\(quoted(root))/bin/zoo-eval resnet20", tool: "zoo-eval")
    #expect(
      box.status == 1 && box.errors.contains("bin/../share/swift-covpool/Networks/resnet20.safetensors"), "\(box)")
    #expect(try runShell(make + " uninstall", tool: "zoo-eval").status == 0)
    let left = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
    #expect(left.allSatisfy { !$0.contains("zoo-") && !$0.contains("covpool") }, "\(left)")
  }
}
