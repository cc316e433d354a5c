import Tensors
import Testing
import Vision

@Suite struct DataLoaderThreadTests {
  @Test(arguments: [(0, 4), (0, 3), (1, 4), (0, 100)])
  func `Without threads whoever takes a batch loads it`(_ available: Int, _ batchSize: Int) throws {
    let folder = Scratch()
    for index in 0..<10 { try folder.copy("odd_420.jpg", to: "a/\(index).jpg") }
    try folder.write("a/3.jpg", [1, 2, 3])
    let data = try ImageFolder(folder.path)
    var started = 0
    let loader = DataLoader(
      dataset: data, transform: EvaluationTransform.cifar, batchSize: batchSize, indices: nil, workers: 3, prefetch: 2,
      startThread: { name, body in
        started += 1
        return started <= available && startThread(name: name, body)
      })
    var (indices, failures) = ([Int](), [String]())
    while let batch = loader.next() {
      #expect(batch.images.shape[0] == batch.indices.count)
      indices += batch.indices
      failures += batch.failures.map { $0.path }
    }
    #expect(indices == [0, 1, 2, 4, 5, 6, 7, 8, 9] && failures.count == 1)
    #expect(loader.next() == nil)
  }
}
