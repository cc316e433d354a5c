import Foundation
import LinearAlgebra
import Testing

@Suite("Memory limits")
struct MemoryLimitTests {
  @Test("what is beyond the machine is refused by size and purpose, what is small is not even asked")
  func refusal() throws {
    for bytes in [1 << 45, 1 << 60, Int.max] {
      let error = #expect(throws: MemoryError.self) {
        try checkMemory(bytes, for: "resnet50 with batches of 512", remedy: "lower the batch size")
      }
      let text = try #require(error?.description)
      #expect(
        text.hasPrefix("resnet50 with batches of 512 needs ") && text.hasSuffix("can be had; lower the batch size"))
      #expect(text.contains(bytes == .max ? "more than any computer has" : " GB of memory"))
    }
    for bytes in [0, 1, 16 << 20] { try checkMemory(bytes, for: "a picture", remedy: "") }
    #expect(sizeText(12_340_000_000) == "12.3 GB" && sizeText(134_217_728) == "135 MB" && sizeText(1) == "1 MB")
  }

  @Test("free memory is what programs can have, and swap")
  func free() {
    let text = "MemTotal:       24689764 kB\nMemFree:          200 kB\nMemAvailable:   1000 kB\nSwapFree:   24 kB\n"
    #expect(freeMemory(text) == 1024 * 1024)
    #expect(freeMemory("MemAvailable:   7 kB\n") == 7 * 1024)
    for text in ["", "MemAvailable:\n", "MemAvailable: much kB\n", "MemFree: 5 kB\n"] {
      #expect(freeMemory(text) == nil)
    }
  }

  private static let files = [
    "/sys/fs/cgroup/a/b/memory.max": "max\n", "/sys/fs/cgroup/a/b/memory.current": "100\n",
    "/sys/fs/cgroup/a/memory.max": "1000000\n", "/sys/fs/cgroup/a/memory.current": "600000\n",
    "/sys/fs/cgroup/a/memory.stat": "anon 1\nactive_file 20000\ninactive_file 30000\n",
    "/sys/fs/cgroup/a/b/cpu.max": "150000 100000\n", "/sys/fs/cgroup/a/cpu.max": "max 100000\n",
    "/sys/fs/cgroup/memory/job/memory.limit_in_bytes": "5000\n",
    "/sys/fs/cgroup/memory/job/memory.usage_in_bytes": "7000\n",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    "/sys/fs/cgroup/memory/memory.usage_in_bytes": "9000\n",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "300000\n", "/sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000\n",
  ]

  @Test(
    "the narrowest group on the way to the root counts",
    arguments: [
      ("0::/a/b\n", 450_000, 2), ("0::/a\n", 450_000, nil), ("0::/elsewhere\n", nil, nil),
      ("4:memory:/job\n3:cpuset:/\n1:cpu,cpuacct:/job\n0::/\n", 0, 3), ("4:memory:/\n1:cpu:/\n", .max - 13_095, nil),
      ("", nil, nil), ("nonsense\n::\n:::\n", nil, nil),
    ] as [(String, Int?, Int?)])
  func controlGroups(membership: String, memory: Int?, processors: Int?) {
    let group = ControlGroup(membership: membership) { Self.files[$0] }
    #expect(group.availableMemory == memory.map { $0 > 1 << 60 ? 9_223_372_036_854_771_712 - 9000 : $0 })
    #expect(group.processorCount == processors)
  }
}
