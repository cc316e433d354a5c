/// The zip container of PyTorch ≥ 1.6: `<root>/data.pkl` holds the object, `<root>/data/<key>` the storages.
func readPyTorchZip(_ file: FileBytes) throws -> Checkpoint.Contents {
  let archive = try ZipArchive(file)
  if let kind = foreignArchive(archive) { throw file.unsupported(kind) }
  let programs = archive.names.filter {
    $0.hasSuffix("/data.pkl") && $0.utf8.count(where: { $0 == UInt8(ascii: "/") }) == 1
  }
  guard let program = programs.first, let entry = archive.entries[program], programs.count == 1 else {
    throw CheckpointError.unrecognized(
      path: file.path,
      found: "a zip archive with \(programs.isEmpty ? "no" : "more than one") data.pkl: its first entry is "
        + quoted(archive.names.first ?? "")
    )
  }
  let root = program.dropLast("data.pkl".utf8.count)
  // The tensors' entries are not read here; the directory of names and places must be sound at least.
  try archive.verify(program)

  var isBigEndian = false
  if let order = archive.entries["\(root)byteorder"] {
    if file.slice(order.data).elementsEqual("big".utf8) {
      isBigEndian = true
    } else if !file.slice(order.data).elementsEqual("little".utf8) {
      throw file.malformed("its byteorder is neither 'little' nor 'big'")
    }
  }
  var machine = PickleMachine(file, entry.data, subject: "its pickle")
  let object = try machine.run()
  let reader = PyTorchReader(
    file: file, heap: machine.heap,
    locate: { storage in
      guard let entry = archive.entries["\(root)data/\(storage.key)"] else {
        throw file.malformed("it has no storage \(quoted(storage.key))")
      }
      guard entry.data.count / storage.type.byteWidth >= storage.count else {
        throw file.malformed(
          "storage \(quoted(storage.key)) is said to have \(storage.count) numbers of type \(storage.type.name), "
            + "found \(entry.data.count) bytes"
        )
      }
      return entry.data
    }, isBigEndian: isBigEndian)
  var contents = try reader.contents(of: object, container: .pytorchZip)
  contents.archive = archive
  return contents
}

/// What a zip archive is that is no checkpoint, where its entries tell.
private func foreignArchive(_ archive: ZipArchive) -> String? {
  if archive.names.contains(where: { $0.hasSuffix("/constants.pkl") }),
    archive.names.contains(where: { $0.utf8.contains(UInt8(ascii: "/")) && $0.contains("/code/") })
  {
    return "a TorchScript program (torch.jit.save); load it in PyTorch and save its state_dict() instead"
  }
  if !archive.names.isEmpty, archive.names.allSatisfy({ $0.hasSuffix(".npy") }) {
    return "NumPy arrays (.npz); save them as safetensors instead"
  }
  return nil
}

/// The container of PyTorch ≤ 1.5: five pickles (a magic number, the version, the writing machine, the object, the
/// storages' keys), then each storage's count and numbers, little-endian on every machine.
func readPyTorchLegacy(_ file: FileBytes) throws -> Checkpoint.Contents {
  let magicNumber: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]
  var machine = PickleMachine(file, 0..<file.count, subject: "its pickle")
  guard case .longInteger(let found) = try machine.run(), found == magicNumber else {
    throw CheckpointError.unrecognized(path: file.path, found: "a pickle without PyTorch's magic number")
  }
  guard case .integer(let version) = try machine.run() else {
    throw file.malformed("its protocol version is no integer")
  }
  guard version == 1001 else { throw file.unsupported("version \(version) of PyTorch's legacy format, expected 1001") }
  _ = try machine.run()
  let object = try machine.run()
  let described = machine.heap.storages
  guard case .list(let list) = try machine.run() else { throw file.malformed("its list of storages is none") }

  var counts: [String: (count: Int, type: StorageType)] = [:]
  for storage in described {
    if let known = counts[storage.key], known != (storage.count, storage.type) {
      throw file.malformed("storage \(quoted(storage.key)) is described twice, and differently")
    }
    counts[storage.key] = (storage.count, storage.type)
  }
  var places: [String: Range<Int>] = [:]
  var reader = ByteReader(file, machine.reader.position..<file.count, subject: "the data of its storages")
  for key in machine.heap.containers[list] {
    guard case .string(let key) = key, let storage = counts[key] else {
      throw file.malformed("its list of storages has one that no tensor uses")
    }
    let count = try reader.integer(Int64.self)
    guard count == storage.count else {
      throw file.malformed("storage \(quoted(key)) is said to have \(storage.count) numbers, found \(count)")
    }
    let (size, overflow) = storage.count.multipliedReportingOverflow(by: storage.type.byteWidth)
    guard !overflow else { throw file.malformed("storage \(quoted(key)) of \(count) numbers is too large") }
    guard places.updateValue(try reader.take(size), forKey: key) == nil else {
      throw file.malformed("its list of storages has \(quoted(key)) twice")
    }
  }
  let heap = machine.heap
  let contents = PyTorchReader(
    file: file, heap: heap,
    locate: { storage in
      guard let place = places[storage.key] else { throw file.malformed("it has no storage \(quoted(storage.key))") }
      return place
    }, isBigEndian: false)
  return try contents.contents(of: object, container: .pytorchLegacy)
}
