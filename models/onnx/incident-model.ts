// The incident model: an int8 ONNX network that tells what kind of trouble the last minute looks like. Loaded on first
// use, in a process of its own: onnxruntime costs 50 MB that an agent at rest does not spend.
import { readFile } from 'node:fs/promises';
import { FEATURE_COUNT, INCIDENT_CLASSES } from '../features.ts';

export interface IncidentModel {
  /** @param features length FEATURE_COUNT. Returns class probabilities in order of INCIDENT_CLASSES; they sum to 1. */
  classify(features: readonly number[]): Promise<number[]>;
}

/** The runtime reports to its maker unless this is set before its library is loaded: nothing leaves a machine of ours. */
function loadRuntime(): Promise<typeof import('onnxruntime-node')> {
  process.env.ORT_DISABLE_TELEMETRY = '1';
  return import('onnxruntime-node');
}

/** @param path of the .onnx file: input `features` float32 [1, FEATURE_COUNT], output `probabilities` float32 [1, classes]. */
export async function loadIncidentModel(path: string): Promise<IncidentModel> {
  const { InferenceSession, Tensor } = await loadRuntime();
  const session = await InferenceSession.create(await readFile(path), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionProviders: ['cpu'],
  });
  return {
    classify: async (features) => {
      if (features.length !== FEATURE_COUNT)
        throw new RangeError(`${features.length} features, the model takes ${FEATURE_COUNT}`);
      const input = new Tensor('float32', Float32Array.from(features), [1, FEATURE_COUNT]);
      const { probabilities } = await session.run({ features: input });
      const values = [...((probabilities?.data as Float32Array | undefined) ?? [])];
      if (values.length !== INCIDENT_CLASSES.length)
        throw new Error(`${path} gives ${values.length} classes, ${INCIDENT_CLASSES.length} expected`);
      return values;
    },
  };
}
