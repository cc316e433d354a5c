import CTurboJPEG
import PNGReading

/// Decodes a JPEG as Pillow does: accurate DCT, smooth chroma upsampling.
func decodeJPEG(_ bytes: UnsafeRawBufferPointer, name: String, pixelLimit: Int) throws(ImageError) -> Image {
  guard let decoder = tjInitDecompress() else { throw .damaged(name, reason: "out of memory") }
  defer { tjDestroy(decoder) }
  let start = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
  let length = UInt(bytes.count)
  var (width, height, subsampling, colorspace): (Int32, Int32, Int32, Int32) = (0, 0, 0, 0)
  func message() -> String { String(cString: tjGetErrorStr2(decoder)) }
  let status = tjDecompressHeader3(decoder, start, length, &width, &height, &subsampling, &colorspace)
  guard status == 0 || tjGetErrorCode(decoder) != TJERR_FATAL.rawValue, width > 0, height > 0 else {
    throw .damaged(name, reason: message())
  }
  let size = (width: Int(width), height: Int(height))
  guard size.width * size.height <= pixelLimit else {
    throw .tooLarge(name, width: size.width, height: size.height, limit: pixelLimit)
  }
  // A progressive image may repeat its scans as often as it likes, and each goes over all pixels.
  let scans = countScans(bytes)
  guard scans <= 20 || scans * size.width * size.height <= scanLimit else {
    throw .damaged(name, reason: "\(scans) scans of \(size.width)×\(size.height) pixels")
  }
  let isInk = colorspace == TJCS_CMYK.rawValue || colorspace == TJCS_YCCK.rawValue
  let channels = isInk ? 4 : 3
  let format = isInk ? TJPF_CMYK : TJPF_RGB
  var failed = false
  let decoded = [UInt8](unsafeUninitializedCapacity: size.width * size.height * channels) { buffer, count in
    buffer.initialize(repeating: 0)
    failed = tjDecompress2(decoder, start, length, buffer.baseAddress, width, 0, height, Int32(format.rawValue), 0) != 0
    count = size.width * size.height * channels
  }
  if failed {
    // Pillow accepts what libjpeg only warns of, except a file that ends too early.
    let reason = message()
    let isWarning = tjGetErrorCode(decoder) == TJERR_WARNING.rawValue
    guard isWarning && !reason.contains("Premature end of JPEG file") else { throw .damaged(name, reason: reason) }
  }
  return Image(width: size.width, height: size.height, pixels: isInk ? rgb(inverted: decoded) : decoded)
}

/// Pixels that all scans of a JPEG may go over: a second or two. Encoders write about ten scans.
private let scanLimit = 1 << 32

/// The start-of-scan markers in a JPEG. Compressed data hold none: a byte FF is followed by 00 there.
private func countScans(_ bytes: UnsafeRawBufferPointer) -> Int {
  var (scans, previous) = (0, UInt8(0))
  for byte in bytes {
    if previous == 0xFF && byte == 0xDA { scans += 1 }
    previous = byte
  }
  return scans
}

/// CMYK as Adobe stores it, inverted, to RGB by Pillow's integer formula.
private func rgb(inverted cmyk: [UInt8]) -> [UInt8] {
  var result = [UInt8]()
  result.reserveCapacity(cmyk.count / 4 * 3)
  for pixel in stride(from: 0, to: cmyk.count, by: 4) {
    let light = Int(cmyk[pixel + 3])
    for channel in 0..<3 {
      let product = (255 - Int(cmyk[pixel + channel])) * light + 128
      result.append(UInt8(max(0, light - ((product >> 8) + product) >> 8)))
    }
  }
  return result
}

/// Decodes a PNG as Pillow's `convert("RGB")` shows it; grey of 16 bits is cut off at 255, as Pillow does.
func decodePNG(_ bytes: UnsafeRawBufferPointer, name: String, pixelLimit: Int) throws(ImageError) -> Image {
  let start = bytes.assumingMemoryBound(to: UInt8.self).baseAddress
  var (header, message) = (covpool_png_header(), [CChar](repeating: 0, count: 128))
  func reason() -> String { String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) }
  guard covpool_png_read_header(start, bytes.count, &header, &message) == 0 else {
    throw .damaged(name, reason: reason())
  }
  let (width, height) = (Int(header.width), Int(header.height))
  guard width <= pixelLimit, height <= pixelLimit, width * height <= pixelLimit else {
    throw .tooLarge(name, width: width, height: height, limit: pixelLimit)
  }
  let isGrey16 = header.is_grey16 != 0
  var failed = false
  let decoded = [UInt8](unsafeUninitializedCapacity: width * height * (isGrey16 ? 2 : 3)) { buffer, count in
    buffer.initialize(repeating: 0)
    failed = covpool_png_read_pixels(start, bytes.count, buffer.baseAddress, &message) != 0
    count = buffer.count
  }
  guard !failed else { throw .damaged(name, reason: reason()) }
  guard isGrey16 else { return Image(width: width, height: height, pixels: decoded) }
  let pixels = stride(from: 0, to: decoded.count, by: 2).flatMap { index -> [UInt8] in
    let value = decoded[index] > 0 ? 255 : decoded[index + 1]
    return [value, value, value]
  }
  return Image(width: width, height: height, pixels: pixels)
}
