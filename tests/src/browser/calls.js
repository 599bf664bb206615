// What a web page gets from the trainer: in JSON, as a stream of lines, and in grpc-web. A call that the browser does not allow gives its name.
async ({ trainer, head, image }) => {
  const post = (method, type, body) =>
    fetch(`${trainer}/graft.v1.${method}`, { method: "POST", headers: { "content-type": type, authorization: "Bearer t" }, body });
  const json = (method, message) => post(method, "application/json", JSON.stringify(message));

  // Lines as they come, each with the message.
  const lines = async (method, messages) => {
    const answer = await post(method, "application/x-ndjson", messages.map((message) => JSON.stringify(message) + "\n").join(""));
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (let read = await reader.read(); !read.done; read = await reader.read()) text += read.value;
    return text.trim().split("\n").map((line) => JSON.parse(line));
  };

  // GetHeadRequest { name = 1 } in the frame of grpc-web; the answer's frames, the trailers last.
  const grpcWeb = async (name) => {
    const bytes = new TextEncoder().encode(name);
    const frame = new Uint8Array([0, 0, 0, 0, bytes.length + 2, 0x0a, bytes.length, ...bytes]);
    const answer = await post("HeadService/GetHead", "application/grpc-web+proto", frame);
    const body = new Uint8Array(await answer.arrayBuffer());
    const frames = [];
    for (let at = 0; at < body.length; ) {
      const length = new DataView(body.buffer).getUint32(at + 1);
      const data = body.slice(at + 5, at + 5 + length);
      frames.push({ flags: body[at], length, text: body[at] & 0x80 ? new TextDecoder().decode(data) : "" });
      at += 5 + length;
    }
    return { status: answer.headers.get("grpc-status"), message: answer.headers.get("grpc-message"), frames };
  };

  try {
    const input = { image: { encoded: image } };
    const missing = await json("HeadService/GetHead", { name: "nothing" });
    return {
      heads: await (await json("HeadService/ListHeads", {})).json(),
      classified: await (await json("ClassifierService/Classify", { head, input })).json(),
      missing: { status: missing.status, body: await missing.json() },
      stream: await lines("ClassifierService/ClassifyStream", [{ options: { head } }, { item: { id: "a", input } }, { item: { id: "b" } }]),
      head: await grpcWeb(head),
      none: await grpcWeb("nothing"),
    };
  } catch (error) {
    return { refused: error.name };
  }
}
