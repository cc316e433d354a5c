/// File names are bytes, and on Linux any bytes but zero and the slash; a `String` holds text. So that a name in another
/// encoding can be opened again after it travelled through the program, each byte that is not UTF-8 becomes a code point of
/// a private plane and turns back where the system is called (the idea of PEP 383). Paths stay ordinary strings, which
/// can be joined and compared; everything that opens, lists or writes files must go through this module.
extension String {
  /// The text of a file name: UTF-8 as it is, any other byte as a private code point that remembers it.
  package init(fileSystemBytes bytes: some Collection<UInt8>) {
    if let text = String(validating: bytes, as: UTF8.self), !text.unicodeScalars.contains(where: \.isByte) {
      self = text
      return
    }
    self = ""
    var rest = Array(bytes)[...]
    while let first = rest.first {
      let length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4
      // A name that has these code points already is taken for bytes, so that the way back is unique.
      if let scalar = String(validating: rest.prefix(length), as: UTF8.self)?.unicodeScalars.first, !scalar.isByte {
        unicodeScalars.append(scalar)
        rest = rest.dropFirst(scalar.utf8.count)
      } else {
        unicodeScalars.append(Unicode.Scalar(byte: first))
        rest = rest.dropFirst()
      }
    }
  }

  /// The bytes of the file name that this text stands for.
  package var fileSystemBytes: [UInt8] {
    guard unicodeScalars.contains(where: \.isByte) else { return Array(utf8) }
    return unicodeScalars.flatMap { scalar in scalar.isByte ? [UInt8(scalar.value & 0xFF)] : Array(scalar.utf8) }
  }

  /// Calls `body` with the name as the system takes it.
  package func withFileSystemPath<Result>(_ body: (UnsafePointer<CChar>) throws -> Result) rethrows -> Result {
    let bytes = fileSystemBytes.map { CChar(bitPattern: $0) } + [0]
    return try bytes.withUnsafeBufferPointer { try body($0.baseAddress!) }
  }

  /// This text as it can be shown: control characters and those that turn the direction of writing as `\u{1B}`, bytes of
  /// a name that are not UTF-8 as `\xE9`.
  /// - Parameter keepsLines: whether line feeds and tabs stay what they are.
  package func printable(keepsLines: Bool = false) -> String {
    guard unicodeScalars.contains(where: { $0.isByte || $0.isUnprintable }) else { return self }
    var result = ""
    for scalar in unicodeScalars {
      if scalar.isByte {
        result += scalar.asByte
      } else if scalar.isUnprintable, !(keepsLines && (scalar == "\n" || scalar == "\t")) {
        result += scalar == "\n" ? #"\n"# : scalar == "\t" ? #"\t"# : scalar == "\r" ? #"\r"# : scalar.asHexadecimal
      } else {
        result.unicodeScalars.append(scalar)
      }
    }
    return result
  }

  /// This text on one line, as `printable(keepsLines:)` shows it.
  package var printable: String { printable() }

  /// This text with bytes of a name that are not UTF-8 as `\xE9`, for files, which hold text; all else as it is.
  package var withBytesShown: String {
    guard unicodeScalars.contains(where: \.isByte) else { return self }
    return unicodeScalars.reduce(into: "") { $0 += $1.isByte ? $1.asByte : String($1) }
  }

  /// What follows the last slash.
  package var lastPathComponent: String {
    guard let slash = utf8.lastIndex(of: UInt8(ascii: "/")) else { return self }
    return String(self[utf8.index(after: slash)...])
  }

  /// What stands before the last slash; `.` where there is none.
  package var parentDirectory: String {
    guard let slash = utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == startIndex ? "/" : String(self[..<slash])
  }
}

extension Unicode.Scalar {
  /// U+10FE80 to U+10FEFF, in the last private plane: the bytes 80 to FF.
  fileprivate var isByte: Bool { (0x10FE80...0x10FEFF).contains(value) }

  fileprivate init(byte: UInt8) { self = Unicode.Scalar(0x10FE00 + UInt32(byte)) ?? "\u{FFFD}" }

  fileprivate var utf8: [UInt8] { Array(String(self).utf8) }

  fileprivate var asByte: String { #"\x"# + String(value & 0xFF, radix: 16, uppercase: true) }

  fileprivate var isUnprintable: Bool {
    switch value {
    case 0..<0x20, 0x7F..<0xA0: true
    case 0x2028...0x202E, 0x2066...0x2069: true  // line and paragraph separators, changes of direction
    default: false
    }
  }

  fileprivate var asHexadecimal: String { #"\u{"# + String(value, radix: 16, uppercase: true) + "}" }
}

/// The program's arguments, whose bytes need not be UTF-8, without its name.
package func programArguments() -> [String] {
  (1..<max(1, Int(CommandLine.argc))).compactMap { index in
    CommandLine.unsafeArgv[index].map { argument in
      let bytes = UnsafeRawBufferPointer(start: argument, count: stringLength(argument))
      return String(fileSystemBytes: bytes)
    }
  }
}

private func stringLength(_ text: UnsafePointer<CChar>) -> Int {
  var length = 0
  while text[length] != 0 { length += 1 }
  return length
}
