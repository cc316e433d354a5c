/// Reads the fields of one protocol buffer message one after the other; unknown fields are for the caller to ignore.
struct ProtobufReader {
  /// A field: its number and its value, by wire type.
  struct Field {
    enum Value {
      case integer(UInt64)
      case fixed
      case bytes(Range<Int>)
    }
    let number: UInt64
    let value: Value
    fileprivate let file: FileBytes
    fileprivate let position: Int

    /// The field as bytes, text or a message.
    func bytes(of what: String) throws -> Range<Int> {
      guard case .bytes(let range) = value else { throw wrongType(of: what) }
      return range
    }

    /// The field as one or more integers: alone or packed.
    func integers(of what: String) throws -> [Int] {
      switch value {
      case .integer(let bits): return [Int(truncatingIfNeeded: bits)]
      case .bytes(let range):
        var reader = ProtobufReader(file, range, subject: what)
        var result: [Int] = []
        while !reader.reader.isAtEnd, result.count <= StoredTensor.rankLimit {
          result.append(Int(truncatingIfNeeded: try reader.variableInteger()))
        }
        return result
      case .fixed: throw wrongType(of: what)
      }
    }

    private func wrongType(of what: String) -> CheckpointError {
      file.malformed("field \(number) at byte \(position), \(what), has the wrong wire type")
    }
  }

  private var reader: ByteReader

  init(_ file: FileBytes, _ range: Range<Int>, subject: String) {
    reader = ByteReader(file, range, subject: subject)
  }

  /// The next field, or `nil` at the message's end.
  mutating func nextField() throws -> Field? {
    guard !reader.isAtEnd else { return nil }
    let position = reader.position
    let key = try variableInteger()
    let value: Field.Value
    switch key & 7 {
    case 0: value = .integer(try variableInteger())
    case 1:
      _ = try reader.take(8)
      value = .fixed
    case 2: value = .bytes(try reader.take(try variableInteger()))
    case 5:
      _ = try reader.take(4)
      value = .fixed
    default: throw reader.file.malformed("\(reader.subject) has the wire type \(key & 7) at byte \(position)")
    }
    guard key >> 3 != 0 else { throw reader.file.malformed("\(reader.subject) has a field 0 at byte \(position)") }
    return Field(number: key >> 3, value: value, file: reader.file, position: position)
  }

  /// Text in the file.
  func string(_ range: Range<Int>) throws -> String {
    guard let string = String(validating: reader.file.slice(range), as: UTF8.self) else {
      throw reader.file.malformed("\(reader.subject) has text at byte \(range.lowerBound) that is not UTF-8")
    }
    return string
  }

  /// The next integer of variable length, at most ten bytes of seven bits.
  private mutating func variableInteger() throws -> UInt64 {
    let position = reader.position
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      let byte = try reader.byte()
      guard shift < 63 || byte <= 1 else { break }
      value |= UInt64(byte & 0x7F) << shift
      if byte & 0x80 == 0 { return value }
    }
    throw reader.file.malformed("\(reader.subject) has an integer of more than 64 bits at byte \(position)")
  }
}
