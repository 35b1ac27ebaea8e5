export const samplers = {};
