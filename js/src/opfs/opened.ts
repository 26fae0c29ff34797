import { OciError } from "../errors.js";
import type { Pack } from "../layer.js";
import type { MergedTree } from "../tree.js";

/** What a stored image is read from. */
export interface OpenedImage {
  readonly tree: MergedTree;
  readonly packs: readonly Pack[];
  readonly warnings: readonly string[];
}

/** Makes the error of an image whose files the browser, or somebody, has taken away. */
export function damaged(name: string): OciError {
  return new OciError("io", `parts of the stored image ${name} are missing`, {
    errorClass: "local",
    advice: "pull it again",
  });
}
