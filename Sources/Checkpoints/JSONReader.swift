/// Reads the little JSON that a safetensors header is made of (objects, strings, arrays of integers ≥ 0), strictly.
///
/// Nesting goes as deep as the caller asks, never as deep as the file wants, and no tree is built.
struct JSONReader {
  let file: FileBytes
  private var position: Int
  private let end: Int

  init(_ file: FileBytes, _ range: Range<Int>) {
    self.file = file
    position = range.lowerBound
    end = range.upperBound
  }

  /// The error for a header that contradicts its format.
  func malformed(_ reason: String) -> CheckpointError { file.malformed("its safetensors header \(reason)") }

  /// Reads an object; `member` is given each key and reads the value.
  mutating func object(_ member: (inout JSONReader, String) throws -> Void) throws {
    try expect("{")
    guard !skip("}") else { return }
    repeat {
      let key = try string()
      try expect(":")
      try member(&self, key)
    } while skip(",")
    try expect("}")
  }

  /// Reads an array of at most `limit` integers.
  mutating func integers(limit: Int) throws -> [Int] {
    try expect("[")
    guard !skip("]") else { return [] }
    var result: [Int] = []
    repeat {
      guard result.count < limit else { throw malformed("has more than \(limit) integers before byte \(position)") }
      result.append(try integer())
    } while skip(",")
    try expect("]")
    return result
  }

  /// Reads a string.
  mutating func string() throws -> String {
    try expect("\"")
    let start = position
    var text: [UInt8] = []
    while true {
      let byte = try next()
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw malformed("has a string at byte \(start) that is not UTF-8")
        }
        return string
      case UInt8(ascii: "\\"): try readEscape(into: &text)
      case 0..<0x20: throw malformed("has a control character in a string at byte \(position - 1)")
      default: text.append(byte)
      }
    }
  }

  /// Takes `null`, if that is what stands here.
  mutating func skipNull() -> Bool {
    skipSpace()
    guard file.matches("null".utf8, at: position), position + 4 <= end else { return false }
    position += 4
    return true
  }

  /// Skips a value of any kind, nested however deep, whose strings are strings and whose brackets match.
  mutating func skipValue() throws {
    var open: [UInt8] = []
    repeat {
      skipSpace()
      switch peek() {
      case UInt8(ascii: "\""): _ = try string()
      case UInt8(ascii: "{")?, UInt8(ascii: "[")?: open.append(try next())
      case UInt8(ascii: "}")?, UInt8(ascii: "]")?:
        // An object's brackets are two code points apart, an array's too.
        guard let bracket = open.popLast(), try next() == bracket + 2 else {
          throw malformed("has brackets that do not match before byte \(position)")
        }
      case UInt8(ascii: ",")?, UInt8(ascii: ":")?:
        guard !open.isEmpty else { throw malformed("has no value at byte \(position)") }
        position += 1
      case nil: throw malformed("is not JSON: it ends early")
      default:
        let start = position
        while let byte = peek(), !Array(",:{}[]\" \t\r\n".utf8).contains(byte) { position += 1 }
        guard position > start else { throw malformed("has no value at byte \(start)") }
      }
    } while !open.isEmpty
  }

  /// Nothing but space may follow.
  mutating func finish() throws {
    skipSpace()
    guard position == end else { throw malformed("is not JSON: something follows its object at byte \(position)") }
  }

  // MARK: Tokens

  private func peek() -> UInt8? { position < end ? file.byte(at: position) : nil }

  private mutating func next() throws -> UInt8 {
    guard let byte = peek() else { throw malformed("is not JSON: it ends early") }
    position += 1
    return byte
  }

  private mutating func skipSpace() {
    while let byte = peek(), [0x20, 0x09, 0x0A, 0x0D].contains(byte) { position += 1 }
  }

  private mutating func skip(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard peek() == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws {
    guard skip(character) else {
      throw malformed("is not the JSON of safetensors: '\(character)' expected at byte \(position)")
    }
  }

  private mutating func integer() throws -> Int {
    skipSpace()
    let start = position
    var value = 0
    while let byte = peek(), (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
      let (tens, first) = value.multipliedReportingOverflow(by: 10)
      let (sum, second) = tens.addingReportingOverflow(Int(byte - UInt8(ascii: "0")))
      guard !first, !second else { throw malformed("has an integer of more than 63 bits at byte \(start)") }
      value = sum
      position += 1
    }
    let hasLeadingZero = position - start > 1 && file.byte(at: start) == UInt8(ascii: "0")
    guard position > start, !hasLeadingZero else { throw malformed("has no integer of at least 0 at byte \(start)") }
    return value
  }

  /// Reads the rest of an escape, whose backslash is read.
  private mutating func readEscape(into text: inout [UInt8]) throws {
    switch try next() {
    case UInt8(ascii: "\""): text.append(UInt8(ascii: "\""))
    case UInt8(ascii: "\\"): text.append(UInt8(ascii: "\\"))
    case UInt8(ascii: "/"): text.append(UInt8(ascii: "/"))
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "u"): text.append(contentsOf: String(try escapedScalar()).utf8)
    default: throw malformed("has an unknown escape at byte \(position - 1)")
    }
  }

  /// The character of `\u` and four hexadecimal digits, of which the first two bytes are read; of two such where the first
  /// is half of a pair.
  private mutating func escapedScalar() throws -> Character {
    func failure() -> CheckpointError { malformed("has an escape that is no character before byte \(position)") }
    var code = try codeUnit()
    if (0xD800..<0xDC00).contains(code) {
      guard try next() == UInt8(ascii: "\\"), try next() == UInt8(ascii: "u") else { throw failure() }
      let low = try codeUnit()
      guard (0xDC00..<0xE000).contains(low) else { throw failure() }
      code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
    }
    guard let scalar = Unicode.Scalar(code) else { throw failure() }
    return Character(scalar)
  }

  private mutating func codeUnit() throws -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let digit = Character(UnicodeScalar(try next())).hexDigitValue else {
        throw malformed("has an escape that is no character before byte \(position)")
      }
      value = value << 4 | UInt32(digit)
    }
    return value
  }
}
