/// Interprets the pickles that `torch.save` writes (protocols 2 to 5) and executes nothing: a call is one of the few
/// rebuilding functions of `PickleGlobal`, carried out here; every other global or opcode is an error that names it.
///
/// Against hostile files: there is no recursion; every instruction is counted against a limit that grows with the file,
/// which bounds the stack, the memo and the heap; shared values are shared by index, so nothing multiplies.
struct PickleMachine {
  var reader: ByteReader
  var heap = PickleHeap()
  private var stack: [PickleValue] = []
  private var marks: [Int] = []
  private var memo: [Int: PickleValue] = [:]
  private var instructions = 0
  private let instructionLimit: Int

  /// A machine for the pickle that starts at `range.lowerBound`.
  init(_ file: FileBytes, _ range: Range<Int>, subject: String) {
    reader = ByteReader(file, range, subject: subject)
    // A tensor takes about 40 instructions, and an instruction up to about 100 bytes of memory.
    instructionLimit = 262_144 + file.count / 64
  }

  var file: FileBytes { reader.file }

  /// Runs to the end of one pickle and returns its value; `reader` is then just behind it.
  mutating func run() throws -> PickleValue {
    stack.removeAll()
    marks.removeAll()
    memo.removeAll()
    while true {
      try charge(1)
      let start = reader.position
      let opcode = try reader.byte()
      if opcode == UInt8(ascii: ".") {
        let result = try pop()
        guard stack.isEmpty, marks.isEmpty else { throw malformed("ends with \(stack.count) values left over") }
        return result
      }
      try execute(opcode, at: start)
    }
  }

  private mutating func execute(_ opcode: UInt8, at start: Int) throws {
    switch opcode {
    case 0x80:  // PROTO
      let version = try reader.byte()
      guard (2...5).contains(version) else { throw file.unsupported("pickle protocol \(version)") }
    case 0x95:  // FRAME: only says how much may be read at once
      let length = try reader.integer(UInt64.self)
      guard length <= reader.end - reader.position else {
        throw malformed("has a frame of \(length) bytes at byte \(start), \(reader.end - reader.position) are left")
      }
    case UInt8(ascii: "("): marks.append(stack.count)
    case UInt8(ascii: "0"): _ = try pop()
    case UInt8(ascii: "1"): _ = try popToMark()
    case UInt8(ascii: "2"): stack.append(try top())

    case UInt8(ascii: "N"): stack.append(.none)
    case 0x88: stack.append(.bool(true))
    case 0x89: stack.append(.bool(false))
    case UInt8(ascii: "K"): stack.append(.integer(Int(try reader.byte())))
    case UInt8(ascii: "M"): stack.append(.integer(Int(try reader.integer(UInt16.self))))
    case UInt8(ascii: "J"): stack.append(.integer(Int(try reader.integer(Int32.self))))
    case 0x8A: stack.append(try longInteger(byteCount: Int(try reader.byte())))
    case 0x8B: stack.append(try longInteger(byteCount: Int(try reader.integer(Int32.self))))
    case UInt8(ascii: "G"):  // BINFLOAT is big-endian
      stack.append(.real(Double(bitPattern: try reader.integer(UInt64.self).byteSwapped)))

    case UInt8(ascii: "X"): stack.append(.string(try reader.string(try reader.integer(UInt32.self))))
    case 0x8C: stack.append(.string(try reader.string(try reader.byte())))
    case 0x8D: stack.append(.string(try reader.string(try reader.integer(UInt64.self))))
    // Python 2's strings, which are text in a state dict.
    case UInt8(ascii: "U"): stack.append(.string(try reader.string(try reader.byte())))
    case UInt8(ascii: "T"): stack.append(.string(try reader.string(try reader.integer(Int32.self))))
    case UInt8(ascii: "C"): stack.append(try bytes(try reader.byte()))
    case UInt8(ascii: "B"): stack.append(try bytes(try reader.integer(UInt32.self)))
    case 0x8E, 0x96: stack.append(try bytes(try reader.integer(UInt64.self)))

    case UInt8(ascii: "]"): stack.append(.list(heap.add(container: [])))
    case UInt8(ascii: ")"): stack.append(.tuple(heap.add(container: [])))
    case UInt8(ascii: "}"): stack.append(.dictionary(heap.add(container: [])))
    case UInt8(ascii: "t"): stack.append(.tuple(heap.add(container: try popToMark())))
    case 0x85: try makeTuple(1)
    case 0x86: try makeTuple(2)
    case 0x87: try makeTuple(3)
    case UInt8(ascii: "a"):
      let value = try pop()
      try append([value])
    case UInt8(ascii: "e"): try append(try popToMark())
    case UInt8(ascii: "s"):
      let value = try pop()
      let key = try pop()
      try setItems([key, value])
    case UInt8(ascii: "u"): try setItems(try popToMark())
    case 0x8F: stack.append(.opaque)  // EMPTY_SET
    case 0x90: _ = try popToMark()  // ADDITEMS
    case 0x91:  // FROZENSET
      _ = try popToMark()
      stack.append(.opaque)

    case UInt8(ascii: "q"): try memoize(Int(try reader.byte()))
    case UInt8(ascii: "r"): try memoize(Int(try reader.integer(UInt32.self)))
    case 0x94: try memoize(memo.count)
    case UInt8(ascii: "h"): stack.append(try recall(Int(try reader.byte())))
    case UInt8(ascii: "j"): stack.append(try recall(Int(try reader.integer(UInt32.self))))

    case UInt8(ascii: "c"):
      let module = try line()
      try pushGlobal(module: module, name: try line())
    case 0x93:  // STACK_GLOBAL
      guard case .string(let name) = try pop(), case .string(let module) = try pop() else {
        throw malformed("names a global by something other than two strings at byte \(start)")
      }
      try pushGlobal(module: module, name: name)
    case UInt8(ascii: "R"), 0x81:  // REDUCE, NEWOBJ
      let arguments = try pop()
      let callee = try pop()
      stack.append(try call(callee, arguments))
    case UInt8(ascii: "b"):
      let state = try pop()
      try build(try top(), state: state)
    case UInt8(ascii: "Q"): stack.append(try storage(persistentID: try pop()))

    default:
      let character = (0x21...0x7E).contains(opcode) ? " ('\(Character(UnicodeScalar(opcode)))')" : ""
      throw file.unsupported(
        "\(reader.subject) has the opcode 0x\(String(opcode, radix: 16))\(character) at byte \(start), "
          + "which a state dict does not need"
      )
    }
  }

  /// Counts work that one instruction makes beyond a constant.
  mutating func charge(_ amount: Int) throws {
    instructions += amount
    guard instructions <= instructionLimit else {
      throw malformed("has more than \(instructionLimit) instructions, too many for a file of \(file.count) bytes")
    }
  }

  /// The error for a pickle that contradicts itself.
  func malformed(_ reason: String) -> CheckpointError { file.malformed("\(reader.subject) \(reason)") }

  // MARK: Stack and memo

  private mutating func pop() throws -> PickleValue {
    guard stack.count > (marks.last ?? 0), let value = stack.popLast() else {
      throw malformed("takes a value from an empty stack before byte \(reader.position)")
    }
    return value
  }

  private func top() throws -> PickleValue {
    guard stack.count > (marks.last ?? 0), let value = stack.last else {
      throw malformed("uses a value of an empty stack before byte \(reader.position)")
    }
    return value
  }

  private mutating func popToMark() throws -> [PickleValue] {
    guard let mark = marks.popLast() else { throw malformed("has no mark before byte \(reader.position)") }
    defer { stack.removeSubrange(mark...) }
    return Array(stack[mark...])
  }

  private mutating func memoize(_ index: Int) throws { memo[index] = try top() }

  private func recall(_ index: Int) throws -> PickleValue {
    guard let value = memo[index] else {
      throw malformed("has no memo \(index), which it uses before byte \(reader.position)")
    }
    return value
  }

  // MARK: Making values

  private mutating func longInteger(byteCount: Int) throws -> PickleValue {
    let bytes = [UInt8](file.slice(try reader.take(byteCount)))
    guard bytes.count <= 8 else { return .longInteger(bytes) }
    let isNegative = bytes.last.map { $0 & 0x80 != 0 } ?? false
    var value = isNegative ? -1 : 0
    for byte in bytes.reversed() { value = value << 8 | Int(byte) }
    return .integer(value)
  }

  private mutating func bytes(_ count: some BinaryInteger) throws -> PickleValue {
    .bytes([UInt8](file.slice(try reader.take(count))))
  }

  private mutating func makeTuple(_ count: Int) throws {
    guard stack.count - (marks.last ?? 0) >= count else {
      throw malformed("makes a tuple of values that it has not before byte \(reader.position)")
    }
    let items = Array(stack.suffix(count))
    stack.removeLast(count)
    stack.append(.tuple(heap.add(container: items)))
  }

  private mutating func append(_ values: [PickleValue]) throws {
    switch try top() {
    case .list(let index): heap.containers[index].append(contentsOf: values)
    case .opaque: break
    case let other: throw malformed("appends to \(other.kind) before byte \(reader.position)")
    }
  }

  private mutating func setItems(_ pairs: [PickleValue]) throws {
    guard case .dictionary(let index) = try top() else {
      throw malformed("sets an item of \(try top().kind) before byte \(reader.position)")
    }
    guard pairs.count.isMultiple(of: 2) else {
      throw malformed("has a key without a value before byte \(reader.position)")
    }
    heap.containers[index].append(contentsOf: pairs)
  }

  /// The text up to the next line feed, which is skipped.
  private mutating func line() throws -> String {
    let start = reader.position
    let limit = 256
    var length = 0
    while try reader.byte() != UInt8(ascii: "\n") {
      length += 1
      guard length <= limit else { throw malformed("names a global of more than \(limit) bytes at byte \(start)") }
    }
    return String(decoding: file.slice(start..<start + length), as: UTF8.self)
  }

  private mutating func pushGlobal(module: String, name: String) throws {
    let path = "\(module).\(name)"
    guard let global = PickleGlobal.named(path) else {
      throw CheckpointError.forbiddenGlobal(path: file.path, global: printable(path))
    }
    stack.append(.global(global))
  }
}
