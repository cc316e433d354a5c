import Files
import Testing

@Suite("File names")
struct FileNameTests {
  @Test(
    "every byte comes back, and UTF-8 stays what it is",
    arguments: [
      Array("plain.jpg".utf8), Array("é漢字😀.jpg".utf8), [0xE9, 0x74, 0xE9], [0x63, 0xFF, 0xFE], [0x80],
      [0xE2, 0x82],  // a character that is cut
      [0xC0, 0xAF], [0xED, 0xA0, 0x80],  // no UTF-8: an overlong slash, half of a surrogate pair
      [0xF4, 0x8F, 0xBA, 0xA9],  // UTF-8 of the very code point that stands for E9
      Array(1...255),
    ] as [[UInt8]])
  func roundTrip(bytes: [UInt8]) {
    let name = String(fileSystemBytes: bytes)
    #expect(name.fileSystemBytes == bytes)
    if let text = String(validating: bytes, as: UTF8.self), bytes != [0xF4, 0x8F, 0xBA, 0xA9] { #expect(name == text) }
    // Joined to a path it is still the same file.
    #expect(("dir/" + name + ".x").fileSystemBytes == Array("dir/".utf8) + bytes + Array(".x".utf8))
  }

  @Test("names that differ in bytes differ as strings")
  func distinct() {
    let names = (0x80...0xFF).map { String(fileSystemBytes: [$0 as UInt8]) }
    #expect(Set(names).count == 128)
  }

  @Test("what is shown has no control characters and names the bytes")
  func shown() {
    #expect(String(fileSystemBytes: [0x63, 0xE9]).printable == #"c\xE9"#)
    #expect("a\u{1B}[2Jb\rc\nd\te\u{7F}\u{85}\u{202E}".printable == #"a\u{1B}[2Jb\rc\nd\te\u{7F}\u{85}\u{202E}"#)
    #expect("a\nb\tc\u{7}".printable(keepsLines: true) == "a\nb\tc\\u{7}")
    #expect("naïve 漢字".printable == "naïve 漢字")
  }

  @Test("last component and parent, whatever follows the slash")
  func components() {
    #expect("a/b/c.csv".lastPathComponent == "c.csv")
    #expect("a/b/c.csv".parentDirectory == "a/b")
    #expect("c.csv".parentDirectory == ".")
    #expect("/c".parentDirectory == "/")
    // A slash and a combining mark are one character to Swift and two to the system.
    #expect("a/\u{301}x".lastPathComponent == "\u{301}x")
  }

  @Test(
    "fields of CSV go by code points",
    arguments: [
      ("plain", "plain"), ("a,b", "\"a,b\""), ("a,\u{301}b", "\"a,\u{301}b\""), ("a\"b", "\"a\"\"b\""),
      ("a\"\u{308}b", "\"a\"\"\u{308}b\""), ("a\r\nb", "\"a\r\nb\""), ("a\u{2028}b", "\"a\u{2028}b\""), ("", ""),
    ])
  func fields(text: String, field: String) {
    #expect(csvField(text).unicodeScalars.elementsEqual(field.unicodeScalars))
  }

  @Test("a field holds bytes that are no text by their numbers")
  func bytesInFields() {
    #expect(csvField(String(fileSystemBytes: [0x63, 0xE9, 0x2C])) == #""c\xE9,""#)
  }
}
