import Files

extension Zoo {
  /// Networks that this package trained and carries: resnet20 with each head, on Fashion-MNIST, by
  /// `Examples/fashion-mnist`.
  public static let namesInTheBox = ["resnet20", "resnet20-fastmpn", "resnet20-mpn", "resnet20-dropcov"]

  /// The checkpoint of a network in the box; `nil` for other networks.
  /// - Throws: `ZooError.boxNotFound` where the files that belong to the program are not where it looks for them.
  public static func checkpointInTheBox(_ model: String) throws(ZooError) -> String? {
    guard namesInTheBox.contains(model) else { return nil }
    let places = boxDirectories
    guard let place = places.first(where: { isDirectory($0) }) else { throw .boxNotFound(model, places) }
    return "\(place)/\(model).safetensors"
  }

  /// Where the box may be: beside a program that depends on `BundledWeights`, as the package manager builds it; in the
  /// directory of shared files that belongs to the program's, as `make install` puts it; in the sources that the program
  /// was built from.
  ///
  /// The accessor that the package manager generates ends the process where it finds nothing, so it is not used.
  private static var boxDirectories: [String] {
    let program = programDirectory()
    return [
      program + "/swift-covpool_BundledWeights.resources/Networks", program + "/../share/swift-covpool/Networks",
      #filePath.parentDirectory + "/../BundledWeights/Networks",
    ]
  }
}
