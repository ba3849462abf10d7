/* The data inside the page: JSON, or JSON that is compressed and written in base64. Nothing is loaded. */
export async function unpack(node) {
  if (node.type !== "application/gzip") return JSON.parse(node.textContent);
  const text = atob(node.textContent.trim()), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}
