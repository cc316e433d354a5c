import Foundation
import FuzzDriver
import Vision

/// Decodes whatever the fuzzer makes up: a picture or an error, nothing else.
private func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  let bytes = UnsafeRawBufferPointer(start: start, count: count)
  // Small pictures, so that many are tried.
  if let image = try? Image(decoding: bytes, name: "input", pixelLimit: 1 << 20) {
    precondition(image.pixels.count == 3 * image.width * image.height)
  }
  return 0
}

@main
struct FuzzPictures {
  static func main() { fuzz { testOneInput($0, $1) } }
}
