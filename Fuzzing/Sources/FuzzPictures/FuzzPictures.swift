import Foundation
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

/// libFuzzer's own loop, which `main` hands the arguments to.
@_silgen_name("LLVMFuzzerRunDriver")
private func runDriver(
  _ count: UnsafeMutablePointer<CInt>,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
  _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

@main
struct FuzzPictures {
  static func main() {
    var (count, arguments) = (CommandLine.argc, CommandLine.unsafeArgv)
    exit(runDriver(&count, &arguments) { testOneInput($0, $1) })
  }
}
