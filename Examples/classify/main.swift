// Classifies images with a network of the papers: classify MODEL CHECKPOINT IMAGE...

import Foundation
import ModelZoo

let arguments = CommandLine.arguments.dropFirst()
guard arguments.count >= 3, let model = arguments.first else {
  print("usage: classify MODEL CHECKPOINT IMAGE...")
  print("for example: classify resnet50-fastmpn fastmpn50.pth.tar cat.jpg")
  exit(64)
}
do {
  let classifier = try Classifier(model, checkpoint: arguments.dropFirst().first)
  for image in arguments.dropFirst(2) {
    for prediction in try classifier.classify(contentsOf: image) {
      print(image, prediction.name, prediction.probability)
    }
  }
} catch {
  print("error: \(error)")
  exit(1)
}
