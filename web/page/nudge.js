// Firefox looks only every 100 ms whether a GPU has finished (its bug 1870699), but also at each submission. So submissions of nothing
// follow while an answer of the GPU is awaited. Other browsers answer by themselves and hardly see any.
const FIRST = 2, MOST = 16; // milliseconds until the first submission, and the longest time between two

/** From now on, nothing in this worker waits for Firefox's timer. */
export function nudge() {
  if (!globalThis.GPUQueue) return;
  const queues = new WeakMap(); // of buffers
  const { createBuffer } = GPUDevice.prototype, { mapAsync } = GPUBuffer.prototype, { onSubmittedWorkDone } = GPUQueue.prototype;
  GPUDevice.prototype.createBuffer = function (described) {
    const buffer = createBuffer.call(this, described);
    queues.set(buffer, this.queue);
    return buffer;
  };
  GPUBuffer.prototype.mapAsync = function (...words) {
    return hurry(queues.get(this), mapAsync.apply(this, words));
  };
  GPUQueue.prototype.onSubmittedWorkDone = function () {
    return hurry(this, onSubmittedWorkDone.call(this));
  };
}

function hurry(queue, answer) {
  let pause = FIRST, timer;
  const look = () => {
    queue.submit([]);
    pause = Math.min(2 * pause, MOST);
    timer = setTimeout(look, pause);
  };
  timer = setTimeout(look, pause);
  const stop = () => clearTimeout(timer);
  answer.then(stop, stop);
  return answer;
}
