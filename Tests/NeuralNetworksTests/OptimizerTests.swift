import NeuralNetworks
import TestSupport
import Testing

/// One weight and one bias.
private struct Line: Module {
  var layer = Linear<Double>(inputs: 1, outputs: 1)

  init(weight: Double, bias: Double) {
    layer.weight = Tensor([1, 1], [weight])
    layer.bias = Tensor([1], [bias])
  }

  mutating func visitTensors(_ visit: ModuleVisitor<Double>) { visit("layer", &layer) }
  func callAsFunction(_ x: Tensor<Double>) -> Tensor<Double> { layer(x) }
  var values: [Double] { [layer.weight.item, layer.bias?.item ?? .nan] }
}

private func gradients(_ weight: Double, _ bias: Double) -> Gradients<Double> {
  Gradients(names: ["layer.weight", "layer.bias"], tensors: [Tensor([1, 1], [weight]), Tensor([1], [bias])])
}

@Suite struct OptimizerTests {
  @Test func `SGD by hand: momentum and weight decay`() {
    var (line, optimizer) = (Line(weight: 2, bias: -1), SGD<Double>(momentum: 0.5, weightDecay: 0.1))
    optimizer.step(&line, gradients(1, 4), learningRate: 0.1)
    // v = 1 + 0.1 · 2 = 1.2 and 4 − 0.1 = 3.9.
    #expect(largestError(line.values, [2 - 0.12, -1 - 0.39]) < 1e-15)
    optimizer.step(&line, gradients(0, 0), learningRate: 0.1)
    // v = 0.5 · 1.2 + 0.188 = 0.788 and 0.5 · 3.9 − 0.139 = 1.811.
    #expect(largestError(line.values, [1.88 - 0.0788, -1.39 - 0.1811]) < 1e-15)
    #expect(optimizer.state.keys.sorted() == ["momentum.layer.bias", "momentum.layer.weight"])
  }

  @Test func `SGD by hand: Nesterov and groups`() {
    var line = Line(weight: 2, bias: -1)
    var optimizer = SGD<Double>(
      momentum: 0.5, weightDecay: 0.1, isNesterov: true,
      groups: [ParameterGroup([".bias"], weightDecay: 0), ParameterGroup(["layer"], learningRateFactor: 5)])
    optimizer.step(&line, gradients(1, 4), learningRate: 0.1)
    // Weight: d = 1.2, v = 1.2, step 0.5 · (1.2 + 0.6); bias: no decay, step 0.1 · (4 + 2).
    #expect(largestError(line.values, [2 - 0.9, -1 - 0.6]) < 1e-15)
  }

  @Test func `AdamW by hand`() {
    var (line, optimizer) = (Line(weight: 2, bias: -1), AdamW<Double>(betas: (0.9, 0.99), eps: 0, weightDecay: 0.1))
    optimizer.step(&line, gradients(3, -0.5), learningRate: 0.1)
    // After the corrections of the first step the direction is the gradient's sign.
    #expect(largestError(line.values, [2 * 0.99 - 0.1, -1 * 0.99 + 0.1]) < 1e-12)
    let before = line.values
    optimizer.step(&line, gradients(1, -0.5), learningRate: 0.1)
    // m = (0.9 · 0.3 + 0.1) / 0.19, v = (0.99 · 0.09 + 0.01) / 0.0199.
    let weight = before[0] * 0.99 - 0.1 * (0.37 / 0.19) / (0.0991 / 0.0199).squareRoot()
    #expect(largestError(line.values, [weight, before[1] * 0.99 + 0.1]) < 1e-12)
  }

  @Test func `Clipping keeps the direction and tells the norm`() {
    var clipped = gradients(3, 4)
    #expect(clipped.clip(norm: 10) == 5 && clipped.tensors[0].item == 3)
    #expect(clipped.clip(norm: 1) == 5)
    #expect(abs(clipped.norm - 1) < 1e-6 && abs(clipped.tensors[0].item - 0.6) < 1e-6)
  }

  @Test func `A running mean moves by its share`() {
    var average = ExponentialMovingAverage(of: Line(weight: 2, bias: 0), decay: 0.9)
    average.update(with: Line(weight: 4, bias: 10))
    #expect(largestError(average.module.values, [2.2, 1]) < 1e-12)
  }

  @Test func `Schedules by hand`() {
    let step = LearningRateSchedule(.step(epochs: 30, factor: 0.1))
    #expect([0, 29.9, 30, 60].map { step.factor(at: $0) } == [1, 1, 0.1, 0.1 * 0.1])
    // LRfast at epochs 0 and 27, LRadju at 0: as published.
    let fast = LearningRateSchedule(.polynomial(epochs: 53, power: 11))
    #expect(abs(fast.factor(at: 0) - 1.233) < 1e-3 && abs(fast.factor(at: 27) - 1 / 2048) < 1e-12)
    #expect(abs(LearningRateSchedule(.polynomial(epochs: 50, power: 2)).factor(at: 0) - 1.041) < 1e-3)
    let cosine = LearningRateSchedule(.cosine(epochs: 10), warmup: 2, isContinuous: true)
    #expect(largestError([0, 1, 5, 10].map { cosine.factor(at: $0) }, [0, 0.5, 0.5, 0]) < 1e-12)
  }
}

@Suite struct GradientsOfModulesTests {
  private let x = Tensor<Double>([2, 1], [1, 3])

  @Test func `Gradients by hand, by name`() throws {
    // Two logits w x + b and 0 would need another layer; one class has loss 0 whatever the weights.
    let result = try valueWithGradients(of: Line(weight: 2, bias: -1)) {
      SoftmaxCrossEntropy(labels: [0, 0]).applied(to: $0(x))
    }
    #expect(result.value.item == 0 && result.gradients.norm == 0)
    let sum = try valueWithGradients(of: Line(weight: 2, bias: -1)) { probeSum($0(x)) }
    #expect(sum.gradients["layer.weight"]?.scalars == [4] && sum.gradients["layer.bias"]?.scalars == [2])
    #expect(sum.gradients["layer.other"] == nil)
  }

  private func probeSum(_ y: Tensor<Double>) -> Tensor<Double> {
    LinearMap().applied(
      to: y.reshaped(to: [1, y.scalarCount]), Tensor([1, y.scalarCount], repeating: 1), Tensor([1], repeating: 0))
  }

  @Test func `A forgotten parameter is named`() throws {
    let error = #expect(throws: DifferentiationError.self) {
      try valueWithGradients(of: Line(weight: 2, bias: -1)) {
        probeSum(LinearMap().applied(to: x, $0.layer.weight, Tensor([1], repeating: 0)))
      }
    }
    #expect(error?.description == "the loss does not depend on the parameter layer.bias")
    let allowed = try valueWithGradients(of: Line(weight: 2, bias: -1), allowsUnused: true) {
      probeSum(LinearMap().applied(to: x, $0.layer.weight, Tensor([1], repeating: 0)))
    }
    #expect(allowed.gradients["layer.bias"]?.scalars == [0])
  }

  @Test func `Misuse stops with the operation and the shapes`() async throws {
    let twice = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      let tape = Tape<Double>(.differentiating(isTraining: false))
      let a = tape.leaf(Tensor([1], [2]), needsGradient: true)
      let b = a.relu()
      _ = tape.gradients(of: b, withRespectTo: [0])
      _ = tape.gradients(of: b, withRespectTo: [0])
    }
    #expect(text(twice).contains("a tape is used once"))
    let shapes = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      _ = Tensor<Double>([2], repeating: 1) + Tensor<Double>([3], repeating: 1)
    }
    #expect(text(shapes).contains("Addition") && text(shapes).contains("[2], [3]"))
  }

  @Test func `A gradient of another shape stops with the operation's name`() async throws {
    let alone = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      differentiateWrongly(withAnotherReader: false)
    }
    let second = await #expect(processExitsWith: .failure, observing: [\.standardErrorContent]) {
      differentiateWrongly(withAnotherReader: true)
    }
    for result in [alone, second] {
      #expect(text(result).contains("WrongGradient: gradient [2] of input 0, which is [3]"))
    }
  }

  @Test func `A norm that adds and activates is the operations one after another`() throws {
    struct Block: Module {
      var norm = BatchNorm2d<Double>(2)
      var isAtOnce: Bool, hasShortcut: Bool, activation: Activation
      mutating func visitTensors(_ visit: ModuleVisitor<Double>) { visit("norm", &norm) }
      func callAsFunction(_ x: Tensor<Double>) -> Tensor<Double> {
        let shortcut = x.relu()
        if isAtOnce { return norm.rectified(x, adding: hasShortcut ? shortcut : nil, by: activation) }
        return (hasShortcut ? norm(x) + shortcut : norm(x)).activated(by: activation)
      }
    }
    let x = Tensor<Double>([3, 2, 4, 5], unit("x", count: 120).map(Double.init))
    for (hasShortcut, activation) in [(false, Activation.relu), (true, .relu), (false, .relu6), (true, .relu6)] {
      var blocks = [true, false].map { Block(isAtOnce: $0, hasShortcut: hasShortcut, activation: activation) }
      for index in blocks.indices {
        blocks[index].initialize()
        blocks[index].norm.bias = Tensor([2], [0.25, -0.5])
        blocks[index].norm.weight = Tensor([2], [6, 4])
      }
      #expect(largestError(blocks[0](x).scalars, blocks[1](x).scalars) < 1e-14)
      for isTraining in [false, true] {
        let results = try blocks.map { block in
          try valueWithGradients(of: block, isTraining: isTraining) { probeSum($0(x)) }
        }
        #expect(abs(results[0].value.item - results[1].value.item) < 1e-12)
        for (got, want) in zip(results[0].gradients.tensors, results[1].gradients.tensors) {
          #expect(largestError(got.scalars, want.scalars) < 1e-12)
        }
        #expect(results[0].updates.map(\.tensor.scalars) == results[1].updates.map(\.tensor.scalars))
      }
    }
  }

  private func text(_ result: ExitTest.Result?) -> String {
    String(decoding: result?.standardErrorContent ?? [], as: UTF8.self)
  }

  @Test func `BatchNorm in training moves its running statistics as PyTorch does`() throws {
    struct Norm: Module {
      var norm = BatchNorm2d<Double>(1)
      mutating func visitTensors(_ visit: ModuleVisitor<Double>) { visit("norm", &norm) }
      func callAsFunction(_ x: Tensor<Double>) -> Tensor<Double> { norm(x) }
    }
    var module = Norm()
    module.initialize()
    // Mean 4, variance 5, unbiased 20/3.
    let x = Tensor<Double>([2, 1, 1, 2], [1, 3, 5, 7])
    let result = try valueWithGradients(of: module) { probeSum($0(x)) }
    module.apply(result.updates)
    #expect(largestError(module.norm.runningMean.scalars, [0.4]) < 1e-12)
    #expect(largestError(module.norm.runningVariance.scalars, [0.9 + 2.0 / 3]) < 1e-12)
    let evaluated = try valueWithGradients(of: module, isTraining: false) { probeSum($0(x)) }
    #expect(evaluated.updates.isEmpty)
  }
}

/// An operation whose gradient has the wrong shape.
private struct WrongGradient: TensorOperation {
  func outputShape(_ inputs: [Shape]) -> Shape { inputs[0] }

  func forward<Scalar>(_ inputs: [Tensor<Scalar>], into result: UnsafeMutableBufferPointer<Scalar>) {
    inputs[0].withUnsafeScalars { _ = result.update(fromContentsOf: $0) }
  }

  func pullback<Scalar>(_ gradient: Tensor<Scalar>, _ application: Application<Scalar>) -> [Tensor<Scalar>?] {
    [Tensor([2], repeating: 0)]
  }
}

private func differentiateWrongly(withAnotherReader: Bool) {
  _ = valueWithGradients(at: [Tensor<Double>([3], [1, 2, 3])]) { x in
    let sum = probe(WrongGradient().applied(to: x[0]))
    return withAnotherReader ? sum + probe(x[0].relu()) : sum
  }
}
