// Runs the shared scenario in workerd; what is given arrives in the request.
import * as oci from "oci-fetcher";
import { failures } from "./scenario/failures.mjs";
import { reading } from "./scenario/reading.mjs";
import { runSteps } from "./scenario/run.mjs";

export default {
  async fetch(request) {
    const given = await request.json();
    return Response.json({ steps: await runSteps({ ...reading, ...failures }, { oci, given }) });
  },
};
