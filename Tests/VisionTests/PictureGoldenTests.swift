import CZlib
import Foundation
import TestSupport
import Testing
import Vision

private struct Row: Decodable, Sendable, CustomStringConvertible {
  var file: String
  var refused: Bool?
  var width, height: Int?
  var decoded, crop, grey28: String?
  var tensor: [Float]?
  var description: String { file }
}

private let rows = (try? golden("pictures", in: .module, as: [Row].self)) ?? []

private let photographs = externalData("data/images")
private let photographRows: [Row] =
  externalData("golden/images.json").flatMap { try? JSONDecoder().decode([Row].self, from: Data(contentsOf: $0)) } ?? []

private func crc32(_ bytes: [UInt8]) -> String {
  String(format: "%08x", CZlib.crc32(0, bytes, UInt32(bytes.count)))
}

@Suite struct PictureGoldenTests {
  @Test func `There are pictures of every kind`() { #expect(rows.count == 30) }

  @Test(arguments: rows)
  private func `A picture is decoded and transformed as by Pillow, to the bit`(_ row: Row) throws {
    try check(row, in: pictures)
  }

  @Test(
    .enabled(if: photographs != nil && !photographRows.isEmpty, "COVPOOL_TEST_DATA has no photographs"),
    arguments: photographRows)
  private func `A picture of the wild is decoded and transformed as by Pillow, to the bit`(_ row: Row) throws {
    try check(row, in: try #require(photographs))
  }

  private func check(_ row: Row, in folder: URL) throws {
    let path = folder.appending(path: row.file).path
    guard row.refused != true else {
      let error = #expect(throws: ImageError.self) { try Image(contentsOf: path) }
      #expect("\(error!)".contains(row.file))
      return
    }
    let image = try Image(contentsOf: path)
    #expect(image.width == row.width && image.height == row.height)
    #expect(crc32(image.pixels) == row.decoded)
    let transform = EvaluationTransform.imageNet
    #expect(crc32(transform.pixels(image)) == row.crop)
    let tensor = Tensor<Float>([3, 224, 224]) { transform(image, into: $0) }
    #expect([tensor[0, 0, 0], tensor[1, 100, 37], tensor[2, 223, 223]] == row.tensor)
    if let grey28 = row.grey28 { #expect(crc32(EvaluationTransform.fashionMNIST.pixels(image)) == grey28) }
  }

  @Test func `The pixel limit is checked before memory is taken`() {
    let path = pictures.appending(path: "huge_header.png").path
    #expect(throws: ImageError.tooLarge(path, width: 60000, height: 60000, limit: Image.defaultPixelLimit)) {
      try Image(contentsOf: path)
    }
    #expect(throws: ImageError.self) {
      try Image(contentsOf: pictures.appending(path: "large.jpg").path, pixelLimit: 700 * 460 - 1)
    }
  }

  @Test func `Scans repeated without end are refused before they are decoded`() throws {
    var bytes = Array(try Data(contentsOf: pictures.appending(path: "progressive.jpg")))
    // 9,000 × 9,000 pixels in the frame's header (SOF2), and the last scan two hundred times.
    let frame = try #require(bytes.indices.dropLast().first { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xC2 })
    bytes.replaceSubrange(frame + 5..<frame + 9, with: [0x23, 0x28, 0x23, 0x28])
    let scan = try #require(bytes.indices.dropLast().last { bytes[$0] == 0xFF && bytes[$0 + 1] == 0xDA })
    let last = Array(bytes[scan..<bytes.count - 2])
    bytes = Array(bytes.dropLast(2)) + Array(repeating: last, count: 200).joined() + [0xFF, 0xD9]
    let error = #expect(throws: ImageError.self) {
      try bytes.withUnsafeBytes { try Image(decoding: $0, name: "bomb.jpg") }
    }
    #expect(error?.description.contains("scans of 9000×9000 pixels") == true)
  }

  @Test func `A file that is not there is told so`() {
    #expect(throws: ImageError.unreadable("/nowhere/a.jpg", reason: "No such file or directory")) {
      try Image(contentsOf: "/nowhere/a.jpg")
    }
  }

  @Test func `Resizing keeps constants, and identity is identity`() throws {
    let flat = Image(width: 13, height: 7, pixels: [UInt8](repeating: 201, count: 13 * 7 * 3))
    #expect(flat.resized(width: 29, height: 3).pixels.allSatisfy { $0 == 201 })
    let image = try Image(contentsOf: pictures.appending(path: "small.jpg").path)
    #expect(image.resized(width: image.width, height: image.height) == image)
    #expect(
      image.cropped(left: 2, top: 3, width: 5, height: 4).pixels.prefix(3)
        == image.pixels[(3 * 40 + 2) * 3..<(3 * 40 + 3) * 3])
    #expect(image.cropped(left: -1, top: -1, width: 2, height: 2).pixels.prefix(9) == [0, 0, 0, 0, 0, 0, 0, 0, 0])
  }

  /// Mutated pictures: no crash and no hang; what comes out is an image or a typed error.
  @Test func `Damaged pictures are errors or images, never crashes`() throws {
    let runs = ProcessInfo.processInfo.environment["COVPOOL_FUZZ_RUNS"].flatMap(Int.init) ?? 1500
    let seeds = try rows.filter { $0.file != "large.jpg" }.map {
      try Data(contentsOf: pictures.appending(path: $0.file))
    }
    var decoded = 0
    for run in 0..<runs {
      var random = SplitMix64(state: UInt64(run))
      let bytes = mutated(Array(seeds[run % seeds.count]), &random)
      let result = try? bytes.withUnsafeBytes { try Image(decoding: $0, name: "run \(run)", pixelLimit: 1 << 22) }
      if let result {
        decoded += 1
        #expect(result.pixels.count == result.width * result.height * 3)
      }
    }
    #expect(decoded > 0 && decoded < runs)
  }
}
