// What the code of this process allocates on V8's heap, in bytes, as opposed to how large the heap is. V8 of Node 24 has no counter of it (no
// `total_allocated_bytes` in `v8.getHeapStatistics()`), but it says before and after each collection how much is used: what is used more before
// one than after the one before it was allocated between the two. The content of larger buffers (64 bytes and more) lies outside of the heap,
// and is not counted: V8 frees it in the background, between collections. What the compiler keeps in registers (escape analysis) is no
// allocation, so that figures differ a little from run to run.
import { GCProfiler, getHeapStatistics } from 'node:v8';

/** Counts from now on. @returns ends it: bytes that were allocated, within a few kilobytes */
export function countAllocations(): () => number {
  const profiler = new GCProfiler();
  let before = getHeapStatistics().used_heap_size;
  profiler.start();
  return () => {
    const atEnd = getHeapStatistics().used_heap_size;
    let bytes = 0;
    for (const { beforeGC, afterGC } of profiler.stop().statistics) {
      bytes += beforeGC.heapStatistics.usedHeapSize - before;
      before = afterGC.heapStatistics.usedHeapSize;
    }
    return bytes + atEnd - before;
  };
}
