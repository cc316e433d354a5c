import Foundation
import TestSupport
import Testing
import Vision

/// Pictures made by formula, resized by Pillow's BICUBIC.
private struct Case: Decodable, Sendable, CustomTestStringConvertible {
  var width, height, factor, newWidth, newHeight: Int
  var pixels: [UInt8]
  var testDescription: String { "\(width)×\(height) to \(newWidth)×\(newHeight)" }

  var picture: Image {
    Image(
      width: width, height: height,
      pixels: (0..<height).flatMap { y in
        (0..<width).flatMap { x in
          (0..<3).map { UInt8((x * 37 * factor + y * 91 + $0 * 53 + x * y * factor) % 256) }
        }
      })
  }

  static let all = (try? golden("bicubic", in: .module, as: [Case].self)) ?? []
}

@Suite struct BicubicTests {
  @Test func `There are pictures that grow and pictures that shrink`() { #expect(Case.all.count == 5) }

  @Test(arguments: Case.all)
  private func `A picture is resized as by Pillow's bicubic filter, to the bit`(_ test: Case) {
    let transform = EvaluationTransform(
      resize: .exact(width: test.newWidth, height: test.newHeight), crop: nil, interpolation: .bicubic,
      mean: [0, 0, 0], deviation: [1, 1, 1])
    #expect(transform.pixels(test.picture) == test.pixels)
  }

  @Test func `Sizes and crops are timm's`() {
    let usual = EvaluationTransform.imageNet
    #expect(usual.resized(to: 288).crop == 288 && usual.resized(to: 288).resize == .shorterSide(329))
    #expect(usual.cropped(to: 0.95).crop == 224 && usual.cropped(to: 0.95).resize == .shorterSide(235))
    #expect(usual.cropped(to: 1).resize == .shorterSide(224))
    #expect(EvaluationTransform.cifar.resized(to: 40).resize == .exact(width: 40, height: 40))
    for resize in [EvaluationTransform.Resize.shorterSide(256), .exact(width: 32, height: 28)] {
      #expect(EvaluationTransform.Resize(resize.description) == resize)
    }
    for text in ["", "x", "32x", "32x32x32", "many"] { #expect(EvaluationTransform.Resize(text) == nil, "\(text)") }
  }

  @Test func `A confusion table counts by class`() {
    var table = ConfusionTable()
    for (logits, label) in [([3, 1, 2], 0), ([1, 3, 2], 0), ([0, 0, 1], 2), ([0, 1, 0], nil)] as [([Float], Int?)] {
      logits.withUnsafeBufferPointer { table.add($0, label: label) }
    }
    #expect(table[0, 0] == 1 && table[0, 1] == 1 && table[2, 2] == 1 && table.images(0) == 2 && table.labels == [0, 2])
    #expect(table.accuracy(0) == 50 && table.accuracy(1) == nil && table.accuracy(2) == 100)
    [Float.nan, .nan, .nan].withUnsafeBufferPointer { table.add($0, label: 1) }
    #expect(table.images(1) == 0)
  }
}
