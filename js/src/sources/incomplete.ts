import { OciError } from "../errors.js";

/** Makes the error of an archive or layout that lacks a file which the others speak of. */
export function incomplete(name: string, file: string): OciError {
  return new OciError("incomplete-source", `${name} lacks the file ${file}`, { errorClass: "integrity" });
}
