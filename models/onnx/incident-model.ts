// The incident model: an int8 ONNX network that classifies the trouble of the last minute. It is loaded on first use, in a separate
// process: onnxruntime takes 50 MB, which an idle agent saves.
import { readFile } from 'node:fs/promises';
import { FEATURE_COUNT, INCIDENT_CLASSES } from '../features.ts';

export interface IncidentModel {
  /** @param features length FEATURE_COUNT. Returns class probabilities in order of INCIDENT_CLASSES; they sum to 1. */
  classify(features: readonly number[]): Promise<number[]>;
}

/** Disables the runtime's telemetry to its maker. It must be set before the library is loaded. */
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
        throw new RangeError(`${features.length} features, but the model takes ${FEATURE_COUNT}`);
      const input = new Tensor('float32', Float32Array.from(features), [1, FEATURE_COUNT]);
      const { probabilities } = await session.run({ features: input });
      const values = [...((probabilities?.data as Float32Array | undefined) ?? [])];
      if (values.length !== INCIDENT_CLASSES.length)
        throw new Error(`${path} returns ${values.length} classes, expected ${INCIDENT_CLASSES.length}`);
      return values;
    },
  };
}
