/** Puts a new key into the environment, and lists the models with it: to be copied into a shell as it is. */
export const firstCommand = (key: string, origin: string) =>
  `export ONEINTERFACE_API_KEY=${key}\ncurl ${origin}/v1/models -H "Authorization: Bearer $ONEINTERFACE_API_KEY"`;
