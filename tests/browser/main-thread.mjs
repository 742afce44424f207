// What the main thread of a page works at, by its own clock: the CPU time of a task does not grow when the machine
// is busy with something else, as the time on the wall does.

/** Begins to watch a page; resolves to a function that ends it and resolves to the CPU time of each task, in ms. */
export async function watchMainThread(page) {
  const session = await page.context().newCDPSession(page);
  const events = [];
  session.on("Tracing.dataCollected", ({ value }) => events.push(...value));
  await session.send("Tracing.start", {
    transferMode: "ReportEvents",
    traceConfig: { includedCategories: ["toplevel"] },
  });
  return async () => {
    const complete = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
    await session.send("Tracing.end");
    await complete;
    await session.detach();
    const ofThread = ({ pid, tid }) => `${pid}.${tid}`;
    const isMain = new Set(
      events.filter(({ name, args }) => name === "thread_name" && args.name === "CrRendererMain").map(ofThread),
    );
    const isTask = ({ name, tdur }) => /^(ThreadControllerImpl::)?RunTask$/.test(name) && tdur > 0;
    return events.filter((event) => isTask(event) && isMain.has(ofThread(event))).map(({ tdur }) => tdur / 1000);
  };
}
