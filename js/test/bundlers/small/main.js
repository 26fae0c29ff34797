// As little as a page needs to pull an image and keep it: what it loads is weighed.
import { Client, opfs } from "oci-fetcher";

globalThis.pull = async (reference) => {
  const image = await new Client().pull(reference, { to: opfs() });
  return image.digest;
};
