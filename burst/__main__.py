"""`python -m burst` is the console command `burst`."""

from burst import console

if __name__ == "__main__":
    console.run()
