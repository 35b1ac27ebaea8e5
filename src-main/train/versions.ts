// Versions that a run's result may depend on.
import { dependencies, version } from '../../package.json';
import { jobVersion } from '../contract/migrations.ts';

export const versions: Readonly<Record<string, string>> = { adora: version, onnxruntime: dependencies['onnxruntime-node'], job: String(jobVersion) };
