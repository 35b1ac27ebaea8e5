// What can compute, by the names that jobs use, and as people call it. How each is driven stands in runtime/onnx/devices.ts.

export const deviceTexts = {
  auto: { label: 'The best one found', help: 'A graphics card where one computes rightly, else the processor.' },
  cpu: { label: 'Processor', help: 'Slow, and it always works.' },
  cuda: { label: 'NVIDIA GPU (CUDA)', help: 'NVIDIA cards, with the CUDA libraries.' },
  dml: { label: 'GPU (DirectML)', help: 'Any card under Windows.' },
  webgpu: { label: 'GPU (WebGPU)', help: 'Most cards, with their ordinary drivers.' },
} as const;

export type Device = keyof typeof deviceTexts;
export const devices = Object.keys(deviceTexts) as [Device, ...Device[]];

/** A device as people call it; one without words of its own keeps its name. */
export const deviceLabel = (name: string): string => (Object.hasOwn(deviceTexts, name) ? deviceTexts[name as Device].label : name);
