/// Interprets the pickles that `torch.save` writes (protocols 2 to 5) and executes nothing: a call is one of the few
/// rebuilding functions of `PickleGlobal`, carried out here; what any other global makes is an object that holds nothing.
///
/// Against hostile files: there is no recursion; what values take is counted against a limit that grows with the file,
/// before it is taken; shared values are shared by index, so nothing multiplies.
struct PickleMachine {
  var reader: ByteReader
  var heap = PickleHeap()
  private var stack: [PickleValue] = []
  private var marks: [Int] = []
  /// Memos in the order of their numbers, and those that are out of it.
  private var memo: [PickleValue] = []
  private var sparseMemo: [Int: PickleValue] = [:]
  private var taken = 0
  private let memoryLimit: Int
  private static let width = MemoryLayout<PickleValue>.stride

  /// A machine for the pickle that starts at `range.lowerBound`.
  init(_ file: FileBytes, _ range: Range<Int>, subject: String) {
    reader = ByteReader(file, range, subject: subject)
    // A training history of a million numbers, three bytes each, takes 32 MB.
    memoryLimit = (40 << 20) + 3 * file.count
  }

  var file: FileBytes { reader.file }

  /// Runs to the end of one pickle and returns its value; `reader` is then just behind it.
  mutating func run() throws -> PickleValue {
    stack.removeAll()
    marks.removeAll()
    memo.removeAll()
    sparseMemo.removeAll()
    while true {
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
    case UInt8(ascii: "2"): try push(try top())

    case UInt8(ascii: "N"): try push(.none)
    case 0x88: try push(.bool(true))
    case 0x89: try push(.bool(false))
    case UInt8(ascii: "K"): try push(.integer(Int(try reader.byte())))
    case UInt8(ascii: "M"): try push(.integer(Int(try reader.integer(UInt16.self))))
    case UInt8(ascii: "J"): try push(.integer(Int(try reader.integer(Int32.self))))
    case 0x8A: try push(try longInteger(byteCount: Int(try reader.byte())))
    case 0x8B: try push(try longInteger(byteCount: Int(try reader.integer(Int32.self))))
    case UInt8(ascii: "G"):  // BINFLOAT is big-endian
      try push(.real(Double(bitPattern: try reader.integer(UInt64.self).byteSwapped)))

    case UInt8(ascii: "X"): try push(try text(try reader.integer(UInt32.self)))
    case 0x8C: try push(try text(try reader.byte()))
    case 0x8D: try push(try text(try reader.integer(UInt64.self)))
    // Python 2's strings, which are text in a state dict.
    case UInt8(ascii: "U"): try push(try text(try reader.byte()))
    case UInt8(ascii: "T"): try push(try text(try reader.integer(Int32.self)))
    case UInt8(ascii: "C"): try push(try bytes(try reader.byte()))
    case UInt8(ascii: "B"): try push(try bytes(try reader.integer(UInt32.self)))
    case 0x8E, 0x96: try push(try bytes(try reader.integer(UInt64.self)))

    case UInt8(ascii: "]"): try push(.list(try make([])))
    case UInt8(ascii: ")"): try push(.tuple(try make([])))
    case UInt8(ascii: "}"): try push(.dictionary(try make([])))
    case UInt8(ascii: "t"): try push(.tuple(try make(try popToMark())))
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
    case 0x8F: try push(.opaque)  // EMPTY_SET
    case 0x90: _ = try popToMark()  // ADDITEMS
    case 0x91:  // FROZENSET
      _ = try popToMark()
      try push(.opaque)

    case UInt8(ascii: "q"): try memoize(Int(try reader.byte()))
    case UInt8(ascii: "r"): try memoize(Int(try reader.integer(UInt32.self)))
    case 0x94: try memoize(memo.count + sparseMemo.count)
    case UInt8(ascii: "h"): try push(try recall(Int(try reader.byte())))
    case UInt8(ascii: "j"): try push(try recall(Int(try reader.integer(UInt32.self))))

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
      try push(try call(callee, arguments))
    case 0x92:  // NEWOBJ_EX
      guard case .dictionary = try pop() else { throw malformed("calls a class with no dictionary of names") }
      let arguments = try pop()
      let callee = try pop()
      try push(try call(callee, arguments))
    case UInt8(ascii: "b"):
      let state = try pop()
      try build(try top(), state: state)
    case UInt8(ascii: "Q"): try push(try storage(persistentID: try pop()))

    default:
      let character = (0x21...0x7E).contains(opcode) ? " ('\(Character(UnicodeScalar(opcode)))')" : ""
      throw file.unsupported(
        "\(reader.subject) has the opcode 0x\(String(opcode, radix: 16))\(character) at byte \(start), "
          + "which a state dict does not need"
      )
    }
  }

  /// Counts memory before it is taken.
  mutating func charge(_ bytes: Int) throws {
    taken += bytes
    guard taken <= memoryLimit else {
      throw malformed("makes more than \(memoryLimit) bytes of objects, too many for a file of \(file.count) bytes")
    }
  }

  /// Puts a value on the stack.
  private mutating func push(_ value: PickleValue) throws {
    if stack.count == stack.capacity { try charge(max(stack.capacity, 16) * Self.width) }
    stack.append(value)
  }

  /// A new container of these values.
  private mutating func make(_ values: [PickleValue]) throws -> Int {
    try charge(64 + values.count * Self.width)
    return heap.add(container: values)
  }

  /// Adds values to a container.
  private mutating func extend(_ index: Int, _ values: [PickleValue]) throws {
    let (count, capacity) = (heap.containers[index].count, heap.containers[index].capacity)
    if count + values.count > capacity { try charge(max(values.count, capacity) * Self.width) }
    heap.containers[index].append(contentsOf: values)
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

  private mutating func memoize(_ index: Int) throws {
    let value = try top()
    if index == memo.count {
      if memo.count == memo.capacity { try charge(max(memo.capacity, 16) * Self.width) }
      memo.append(value)
    } else if memo.indices.contains(index) {
      memo[index] = value
    } else {
      try charge(4 * Self.width)
      sparseMemo[index] = value
    }
  }

  private func recall(_ index: Int) throws -> PickleValue {
    guard let value = memo.indices.contains(index) ? memo[index] : sparseMemo[index] else {
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

  /// Text; other bytes (a path that is not UTF-8) are of no interest.
  private mutating func text(_ count: some BinaryInteger) throws -> PickleValue {
    String(validating: file.slice(try reader.take(count)), as: UTF8.self).map { .string($0) } ?? .opaque
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
    try push(.tuple(try make(items)))
  }

  private mutating func append(_ values: [PickleValue]) throws {
    switch try top() {
    case .list(let index):
      // Of a long row of numbers or of small records, a training history's, nothing is ever asked: a tensor's extents are
      // few, and the pairs of a dictionary hold tensors.
      if heap.containers[index].count >= 1024, values.allSatisfy(isDisposable) {
        values.forEach { dispose($0) }
        return
      }
      try extend(index, values)
    case .opaque, .foreign: break
    case let other: throw malformed("appends to \(other.kind) before byte \(reader.position)")
    }
  }

  /// Whether a value is a number, or a small container of numbers and texts.
  private func isDisposable(_ value: PickleValue) -> Bool {
    switch value {
    case .list(let index), .tuple(let index), .dictionary(let index):
      let items = heap.containers[index]
      return items.count <= 64
        && items.allSatisfy { item in
          if case .string = item { return true }
          return item.isPlain
        }
    default: return value.isPlain
    }
  }

  /// Gives back what a container of numbers and texts takes; who refers to it later finds it empty.
  private mutating func dispose(_ value: PickleValue) {
    switch value {
    case .list(let index), .tuple(let index), .dictionary(let index):
      taken -= min(taken, 48 + heap.containers[index].count * Self.width)
      heap.containers[index] = []
    default: break
    }
  }

  private mutating func setItems(_ pairs: [PickleValue]) throws {
    guard pairs.count.isMultiple(of: 2) else {
      throw malformed("has a key without a value before byte \(reader.position)")
    }
    switch try top() {
    case .dictionary(let index): try extend(index, pairs)
    case .opaque, .foreign: break
    case let other: throw malformed("sets an item of \(other.kind) before byte \(reader.position)")
    }
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
    if let global = PickleGlobal.named(path) { return try push(.global(global)) }
    try charge(path.utf8.count)
    try push(.global(.foreign(heap.foreign(path))))
  }
}
