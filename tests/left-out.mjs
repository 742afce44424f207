import { StepFailed } from "../dev/steps.mjs";

/** Why a suite cannot run on this machine. */
export class LeftOut extends StepFailed {}
