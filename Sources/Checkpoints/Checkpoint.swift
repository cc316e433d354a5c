import Synchronization
import Tensors

/// What a checkpoint file holds: named tensors, not read yet, and what is said beside them.
///
/// The container is recognised by its content, never by the file's name. Nothing in the file is executed, all sizes are
/// checked before memory is taken, and only the descriptions of the tensors are read.
public struct Checkpoint: Sendable {
  /// A way to put tensors into a file.
  public enum Container: String, Sendable, CaseIterable {
    /// A zip archive, by `torch.save` of PyTorch ≥ 1.6.
    case pytorchZip
    /// A sequence of pickles and storages, by `torch.save` of PyTorch ≤ 1.5.
    case pytorchLegacy
    /// A protocol buffer, by MindSpore's `save_checkpoint`.
    case mindspore
    /// A JSON header and raw numbers.
    case safetensors
  }

  /// The file, as it was named.
  public let path: String
  /// How the file holds the tensors.
  public let container: Container
  /// The tensors by name. The prefixes `module.` and `features.module.`, which training on several processors leaves, and
  /// `_orig_mod.`, which compiling leaves, are taken off.
  public let tensors: [String: StoredTensor]
  /// The tensors' names in the file's order.
  public let names: [String]
  /// What is said beside the tensors: safetensors' `__metadata__`; the scalars beside a PyTorch state dict (`epoch`,
  /// `arch`, `best_acc1`); MindSpore's scalars (`epoch_num`, `step_num`), which are among its tensors too, and strings.
  public let metadata: [String: String]
  /// What was taken where the file left a choice, for the user to know.
  public let notes: [String]
  /// Tensors, or what stands in their place, that are not read, by name: which class makes them. A sparse or quantised
  /// tensor, one of float8. They matter only to whoever needs one of this name.
  public let unread: [String: String]

  private let archive: ZipArchive?

  /// Reads the descriptions of the tensors in the file at `path`.
  /// - Throws: `CheckpointError`.
  public init(contentsOf path: String) throws {
    try self.init(FileBytes(mapping: path))
  }

  /// Reads a checkpoint in memory, as if it were in a file of that name.
  package init(bytes: some Collection<UInt8>, named path: String) throws {
    try self.init(FileBytes(copying: bytes, named: path))
  }

  /// Reads all numbers of a PyTorch zip file once and compares them with the file's check sums; the other containers
  /// have none of their numbers, or (MindSpore) are checked on opening.
  /// - Throws: `CheckpointError.malformed` with the name of the entry that differs.
  public func verifyChecksums() throws {
    guard let archive else { return }
    let failure = Mutex<(any Error)?>(nil)
    WorkerPool.shared.forEach(archive.names.count) { index in
      do { try archive.verify(archive.names[index]) } catch { failure.withLock { $0 = $0 ?? error } }
    }
    if let failure = failure.withLock({ $0 }) { throw failure }
  }

  /// What a container's reader finds.
  struct Contents {
    let container: Container
    let tensors: [StoredTensor]
    let metadata: [String: String]
    var notes: [String] = []
    var unread: [String: String] = [:]
    var archive: ZipArchive?
  }

  private init(_ file: FileBytes) throws {
    let contents = try Self.read(file)
    path = file.path
    container = contents.container
    metadata = contents.metadata
    archive = contents.archive
    notes = contents.notes
    unread = Dictionary(contents.unread.map { (Self.withoutPrefix($0), $1) }, uniquingKeysWith: { first, _ in first })
    var tensors: [String: StoredTensor] = [:]
    tensors.reserveCapacity(contents.tensors.count)
    var names: [String] = []
    for tensor in contents.tensors {
      let name = Self.withoutPrefix(tensor.name)
      guard tensors.updateValue(tensor.renamed(name), forKey: name) == nil else {
        throw file.malformed("it has two tensors of the name \(quoted(name))")
      }
      names.append(name)
    }
    self.tensors = tensors
    self.names = names
    try Self.checkTotal(contents.tensors, in: file)
  }

  private static func withoutPrefix(_ name: String) -> String {
    // A part may be compiled by itself.
    let name = name.contains("_orig_mod.") && name != "_orig_mod." ? name.replacing("_orig_mod.", with: "") : name
    var rest = name[...]
    // Where only the layers of a sequence were trained on several processors, `features` is the sequence's own name.
    let sequence = "features.module."
    let prefixes = ["module.", sequence]
    while let prefix = prefixes.first(where: { rest.hasPrefix($0) && rest.utf8.count > $0.utf8.count }) {
      let inner = rest.dropFirst(prefix.count)
      if prefix == sequence, inner.first?.isNumber == true { return "features." + inner }
      rest = inner
    }
    return rest.utf8.count == name.utf8.count ? name : String(rest)
  }

  /// Tensors may share numbers (tied weights), but a small file must not become large by sharing them a thousandfold:
  /// with the mapped file, all tensors as `Float` stay below four times the file and a constant.
  private static func checkTotal(_ tensors: [StoredTensor], in file: FileBytes) throws {
    var bytes = 0
    var floatBytes = 0
    // The sums cannot overflow: they are compared after each tensor, and a tensor is no larger than the file.
    for tensor in tensors {
      bytes += tensor.byteCount
      floatBytes += tensor.floatByteCount
      guard bytes <= file.count || floatBytes <= 3 * file.count + 32 << 20 else {
        throw file.malformed(
          "its tensors share their numbers so often that they are more than three times the file of \(file.count) bytes"
        )
      }
    }
  }

  /// Recognises the container and reads it.
  private static func read(_ file: FileBytes) throws -> Contents {
    if file.matches([0x50, 0x4B, 0x03, 0x04], at: 0) || file.matches([0x50, 0x4B, 0x05, 0x06], at: 0) {
      return try readPyTorchZip(file)
    }
    if file.matches("ustar".utf8, at: 257) {
      throw file.unsupported(
        "a tar archive, as PyTorch before 0.1.10 wrote; load it with such a version and save it again")
    }
    if file.matches("version https://git-lfs".utf8, at: 0) {
      throw CheckpointError.unrecognized(
        path: file.path, found: "a pointer of Git LFS, whose file was not fetched (git lfs pull)")
    }
    // A safetensors file starts with its header's length, which is short of 2³², and an object in JSON.
    let isLengthShort = (4...7).allSatisfy { file.byte(at: $0) == 0 }
    if file.byte(at: 8) == UInt8(ascii: "{"), file.byte(at: 0) != 0x0A || isLengthShort {
      return try readSafetensors(file)
    }
    if file.byte(at: 0) == 0x80, let version = file.byte(at: 1), (2...5).contains(version) {
      return try readPyTorchLegacy(file)
    }
    if let kind = knownKind(file) { throw CheckpointError.unrecognized(path: file.path, found: kind) }
    if isLengthShort, (0...3).contains(where: { file.byte(at: $0) != 0 }) { return try readSafetensors(file) }
    if file.byte(at: 0) == 0x0A { return try readMindSpore(file) }
    let start = file.slice(0..<min(8, file.count)).map { byte in (byte < 16 ? "0" : "") + String(byte, radix: 16) }
    throw CheckpointError.unrecognized(path: file.path, found: "the bytes \(start.joined(separator: " "))")
  }

  /// What a file is that is no checkpoint, where its first bytes tell.
  private static func knownKind(_ file: FileBytes) -> String? {
    func begins(_ bytes: [UInt8]) -> Bool { file.matches(bytes, at: 0) }
    func begins(_ text: String) -> Bool { file.matches(text.utf8, at: 0) }
    // Either may be the length of a safetensors header, which has zeros behind it.
    let isText = file.byte(at: 1).map { $0 >= 0x20 || $0 == 0x0A || $0 == 0x0D } ?? false
    if begins("<"), isText { return "a text such as the HTML page of a failed download" }
    if begins("{"), isText {
      let start = String(decoding: file.slice(0..<min(file.count, 1 << 16)), as: UTF8.self)
      return start.contains("\"weight_map\"")
        ? "the index of a model that lies in several files; name a file that holds all of it" : "a JSON text"
    }
    if begins([0x93] + Array("NUMPY".utf8)) { return "a NumPy array (.npy)" }
    if begins([0x89] + Array("HDF".utf8)) { return "an HDF5 file (Keras, MATLAB)" }
    if begins([0x1F, 0x8B, 8]) { return "a file compressed by gzip; uncompress it first" }
    if begins([0xFD] + Array("7zXZ".utf8)) || begins("BZh") { return "a compressed file; uncompress it first" }
    if begins("GGUF") { return "a GGUF file" }
    if begins("Rar!") || begins([0x37, 0x7A, 0xBC, 0xAF]) { return "an archive; unpack it first" }
    return nil
  }
}
