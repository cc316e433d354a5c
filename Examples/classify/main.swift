import ModelZoo
import Inference
import Foundation
let name = CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : "resnet18-fastmpn"
let batch = CommandLine.arguments.count > 2 ? Int(CommandLine.arguments[2])! : 8
var net = ResNet<Float>(try Zoo.entry(named: name).configuration)
net.initialize()
let plan = Plan(net.trace(input: [1,3,224,224]))
let x = RandomStream(seed: 1, name: "x").uniform([batch,3,224,224], low: Float(-1), high: 1)
_ = plan(x)
for _ in 0..<6 { let t = Date(); _ = plan(x); print(Double(batch)/Date().timeIntervalSince(t)) }
