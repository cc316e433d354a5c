/// Fashion-MNIST (Xiao et al. 2017) as Debian's package dataset-fashion-mnist installs it.
public enum FashionMNIST {
  /// The directory of the four files.
  public static let directory = "/usr/share/datasets/fashion-mnist"

  /// Whether the package is installed.
  public static var isInstalled: Bool { isPresent(in: directory) }

  /// Whether a directory holds test images in files of this kind.
  public static func isPresent(in directory: String) -> Bool { IDXDataset.files(in: directory, .test) != nil }
}
