import Files
import Foundation
import Testing

@Suite("Files")
struct FileTests {
  private func withFolder(_ body: (String) throws -> Void) throws {
    let folder = FileManager.default.temporaryDirectory.appending(path: "covpool files tëst \(UUID())").path
    try createDirectory(folder + "/nested/twice")
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try body(folder)
  }

  @Test("a file is written, listed and read under a name that is no UTF-8")
  func rawName() throws {
    try withFolder { folder in
      let name = String(fileSystemBytes: [0x6F, 0x75, 0x74, 0xE9])
      try writeAtomically("text", to: folder + "/" + name)
      #expect(try directoryEntries(folder) == ["nested", name])
      #expect(try readFile(folder + "/" + name) == Data("text".utf8))
      #expect(fileKind(folder + "/" + name) == .regular)
      try removeFile(folder + "/" + name)
      #expect(try directoryEntries(folder) == ["nested"])
    }
  }

  @Test("pipes and devices are refused at once, streams are read to their end")
  func streams() throws {
    try withFolder { folder in
      let pipe = folder + "/pipe"
      #expect(mkfifo(pipe, 0o600) == 0)
      #expect(throws: FileError.unreadable(path: pipe, reason: "it is not a regular file")) { try readFile(pipe) }
      #expect(throws: FileError.unreadable(path: folder, reason: "it is a directory")) { try readFile(folder) }
      #expect(throws: FileError.unreadable(path: "/dev/zero", reason: "it is not a regular file")) {
        try readFile("/dev/zero")
      }
      #expect(throws: FileError.unreadable(path: "/dev/zero", reason: "it is larger than 1000 bytes")) {
        try readStream("/dev/zero", limit: 1000)
      }
      let nothing = try readStream("/dev/null")
      #expect(nothing.isEmpty)
      let writer = Thread { try? writeAtomically("1\n2\n", to: pipe) }
      writer.start()
      let lines = try readStream(pipe)
      #expect(lines == Data("1\n2\n".utf8))
    }
  }

  @Test("a limit is a limit, and files without a size are read whole")
  func limits() throws {
    try withFolder { folder in
      try writeAtomically("12345", to: folder + "/five")
      #expect(try readFile(folder + "/five", limit: 5).count == 5)
      #expect(throws: FileError.self) { try readFile(folder + "/five", limit: 4) }
      #expect(try readFile("/proc/self/status").count > 100)
    }
  }

  @Test("one file by different names")
  func identity() throws {
    try withFolder { folder in
      try writeAtomically("", to: folder + "/a")
      #expect(symlink(folder + "/a", folder + "/link") == 0)
      #expect(isSameFile(folder + "/a", folder + "/./a"))
      #expect(isSameFile(folder + "/a", folder + "/link"))
      #expect(isSameFile(folder + "/new.csv", folder + "/nested/../new.csv"))
      #expect(!isSameFile(folder + "/new.csv", folder + "/other.csv"))
      #expect(!isSameFile(folder + "/a", folder + "/new.csv"))
    }
  }

  @Test("a name of 255 bytes can be written; a folder cannot be, and says so")
  func writable() throws {
    try withFolder { folder in
      let long = folder + "/" + String(repeating: "é", count: 127)
      try writeAtomically("text", to: long)
      #expect(try readFile(long).count == 4)
      #expect(throws: FileError.unwritable(path: folder, reason: "it is a directory")) { try checkWritable(folder) }
      #expect(throws: FileError.unwritable(path: folder + "/no/file", reason: "No such file or directory")) {
        try checkWritable(folder + "/no/file")
      }
      try checkWritable(folder + "/new")
      #expect(throws: FileError.self) { try createDirectory(long + "/below") }
    }
  }

  @Test("a directory has one owner, whom the second is told")
  func lock() throws {
    try withFolder { folder in
      var first: DirectoryLock? = try DirectoryLock(folder, name: ".lock", owner: "resnet20")
      let error = #expect(throws: FileError.self) {
        _ = try DirectoryLock(folder, name: ".lock", owner: "resnet32")
      }
      #expect(error?.description == "\(folder): cannot be written: in use by process \(getpid()), resnet20")
      #expect(first != nil)
      first = nil
      _ = try DirectoryLock(folder, name: ".lock", owner: "resnet32")
    }
  }

  @Test("a file that somebody else called so keeps its content")
  func foreignLock() throws {
    try withFolder { folder in
      for text in ["mine", "process notes of mine", "process , x"] {
        try writeAtomically(text, to: folder + "/.lock")
        _ = try DirectoryLock(folder, name: ".lock", owner: "resnet20")
        #expect(try readFile(folder + "/.lock") == Data(text.utf8))
      }
    }
  }
}
