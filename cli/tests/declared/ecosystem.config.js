module.exports = {
  apps: [
    {
      name: 'soko',
      script: './worker.js',
      cron_restart: '0 4 * * *', // it leaks
      max_memory_restart: '300M',
      env: { BUSINESS_NAME: 'Soko', PHONE_NUMBER: '255700000003', COLOUR: 'red' },
    },
  ],
};
