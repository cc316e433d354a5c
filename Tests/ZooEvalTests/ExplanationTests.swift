import Foundation
import ModelZoo
import ToolTestSupport
import Testing

@Suite struct ExplanationTests {
  private struct Step: Decodable {
    var layer: String
    var operations: [String]
    var output: [Int]
    var algorithm: String?
    var macs: Int
    var seconds: Double
  }

  @Test(arguments: ConvolutionAlgorithm.allCases)
  func `Each step is explained, and an algorithm can be forced`(_ algorithm: ConvolutionAlgorithm) throws {
    let scratch = try Scratch()
    let run = try zooEval(
      "resnet20-fastmpn", "--explain", "--batch-size", "2", "--algorithm", algorithm.rawValue, "--results",
      scratch.path + "/steps.json")
    #expect(run.status == 0 && run.errorLines.isEmpty)
    let steps = try JSONDecoder().decode([Step].self, from: Data(scratch.read("steps.json").utf8))
    // A line for each step, below the table's header and above the sum.
    let lines = run.output.split(separator: "\n")
    let header = try #require(lines.firstIndex { $0.hasPrefix("layer") && $0.hasSuffix("share") })
    #expect(lines[header...].count == steps.count + 2 && lines.last?.hasPrefix("all") == true)
    #expect(
      steps.first?.layer == "conv1" && steps.first?.operations == ["Convolution2d", "BatchNormalization", "ReLU"])
    #expect(steps.contains { $0.layer == "layer1.0.conv2" && $0.operations.contains("Addition") })
    #expect(steps.last?.layer == "fc" && steps.last?.output == [10])
    #expect(steps.allSatisfy { $0.seconds >= 0 && ($0.algorithm != nil) == $0.operations.contains("Convolution2d") })
    let classifier = try Classifier("resnet20-fastmpn")
    #expect(steps.reduce(0) { $0 + $1.macs } == 2 * classifier.counts.multiplyAdds)
    #expect(steps.contains { $0.algorithm == algorithm.rawValue })
    if algorithm == .blas { #expect(steps.allSatisfy { $0.algorithm == nil || $0.algorithm == "blas" }) }
  }

  @Test func `Steps can be written as CSV`() throws {
    let scratch = try Scratch()
    #expect(try zooEval("resnet20", "--explain", "--batch-size", "1", "--results", scratch.path + "/s.csv").status == 0)
    let lines = try scratch.read("s.csv").split(separator: "\n")
    #expect(lines.first == "layer,operations,output,algorithm,macs,seconds")
    #expect(lines.count > 20 && lines[1].hasPrefix("conv1,Convolution2d + BatchNormalization + ReLU,\"[16, 28, 28]\","))
  }

  @Test func `What cannot be explained is a mistake of usage`() throws {
    #expect(try zooEval("resnet20", "--explain", "--data", "d").status == 64)
    #expect(try zooEval("resnet20", "--explain", "a.jpg").status == 64)
    #expect(try zooEval("resnet20", "--explain", "--predictions", "p.csv").status == 64)
    #expect(try zooEval("resnet20", "--algorithm", "fft").status == 64)
  }
}
